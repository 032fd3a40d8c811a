"""Items come in with their attributes, before anybody has rated them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta, Struct

from palate.serving.endpoints import Call, Endpoint
from palate.serving.schema import MAX_BATCH, Label
from palate.serving.store import Item


class PutItem(Struct, forbid_unknown_fields=True):
    """An item and its attributes, as the columns of the item table have them."""

    item: Label
    attributes: dict[str, Any]


class PutAnswer(Struct):
    """How many items were kept."""

    kept: int


Items = Annotated[list[PutItem], Meta(max_length=MAX_BATCH)]


async def put_items(call: Call) -> PutAnswer:
    """Keep items with their attributes. New ones can be recommended at once; known ones get these attributes."""
    items = [Item(str(one.item), one.attributes) for one in call.body]
    await asyncio.to_thread(call.service.put_items, items)
    return PutAnswer(len(items))


ENDPOINTS = (Endpoint("PUT", "/v1/items", put_items, PutAnswer, body=Items, scope="admin", may_take_long=True),)
