"""Forgetting a user: in the store, in every model, in every model's file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from palate.answers.updating import forget
from palate.data.vocabulary import Label
from palate.errors import OptionError, PalateError, UnknownLabelError
from palate.models.model import Model
from palate.recommender import Recommender, load
from palate.serving.filelocks import locked
from palate.serving.models import load_served
from palate.serving.people import label_in
from palate.serving.served import Served
from palate.serving.service import Service
from palate.serving.store import Store

LOG = logging.getLogger("palate.serving")
WRITE = "write"  # the lock of whoever changes a model's file


class ForgottenAnswer(Struct):
    """What was removed."""

    user: Label
    n_events: int
    models: Annotated[list[str], Meta(description="Models that knew the user, and no longer do.")]
    remaining: Annotated[
        list[str], Meta(description="Models that cannot forget one user, and know them until they are fitted again.")
    ]


async def forget_user(service: Service, user: Label) -> ForgottenAnswer:
    """Remove a user's events, and the user from every model that knows them and can forget."""
    forgotten = await asyncio.to_thread(service.store.forget, str(user))
    service.live.forget(str(user))
    changed, remaining = [], []
    for served in service.models:
        try:
            new = await asyncio.to_thread(_without, served, user)
        except PalateError as error:
            LOG.warning("a model cannot forget a user", extra={"model": served.name, "reason": str(error)})
            remaining.append(served.name)
            continue
        if new is not None:
            service.serve(new)
            changed.append(served.name)
    return ForgottenAnswer(user, forgotten.n_events, changed, remaining)


def _without(served: Served, user: Label) -> Served | None:
    """The model of a file without a user, which is in the file then; None if the file does not know the user.

    The file is read again, since another process may have written it.
    """
    if served.path is None:
        raise OptionError("a model without a file cannot forget for good; serve it from a file.")
    with locked(served.path, WRITE):
        model = load(served.path).model
        label = _known(model, user)
        if label is None:
            return None
        Recommender(forget(model, [label], None)).save(served.path)
        return load_served(served.path)


def _known(model: Model, user: Label) -> Label | None:
    """A user's label as the model has it; None if it does not."""
    try:
        label = label_in(model.user_vocabulary, user)
    except UnknownLabelError:
        return None
    return label if model.user_vocabulary.find(label) >= 0 else None


def replace_file(new: Path, old: Path, store: Store, up_to: int) -> Served:
    """Put a new model, which learned events up to a number, in the place of an old one; users forgotten since are out.

    Raises PalateError, and the old file stays.
    """
    with locked(old, WRITE):
        model = load(new).model
        gone = forgotten_since(model, store, up_to)
        left = forget(model, gone, None) if gone else model
        Recommender(left).save(old)  # not renamed: the old file's mode and group stay
        return load_served(old)


def forgotten_since(model: Model, store: Store, number: int) -> Sequence[Label]:
    """The users of a model who were forgotten after this sequence number."""
    labels = model.user_vocabulary.labels.tolist()
    found = store.forgettings(map(str, labels))
    return [label for label, when in zip(labels, found, strict=True) if when is not None and when.number > number]
