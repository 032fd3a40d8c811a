"""Service: what the endpoints share: models, store, keys, and lists that are made together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from palate.data.vocabulary import Label
from palate.errors import PalateError
from palate.serving.batching import Batcher
from palate.serving.catalogue import with_catalogue
from palate.serving.guard import Guard
from palate.serving.judging import Judged
from palate.serving.live import Live
from palate.serving.metrics import Metrics
from palate.serving.models import Models, has_changed, load_served
from palate.serving.outcomes import Outcomes
from palate.serving.people import Person, described, known_user
from palate.serving.problems import ProblemError
from palate.serving.schema import ListAnswer, ListRequest
from palate.serving.served import Served
from palate.serving.store import Item, Store

if TYPE_CHECKING:
    from palate.serving.refitting import Refitter

LOG = logging.getLogger("palate.serving")
LOOK_EVERY = 1.0  # seconds between looks at the models' files


@dataclass(frozen=True)
class Settings:
    """How a service behaves.

    Attributes:
        scenarios (mapping, default {}): {name: options of a list}.
        max_body (int, default 1_000_000): Bytes of a request's body.
    """

    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_body: int = 1_000_000


class Service:
    """Everything that answers need. Made once for each process."""

    def __init__(self, models: Models, store: Store, commit: Any, guard: Guard, settings: Settings) -> None:
        self.models = models
        self.store = store
        self.commit = commit
        self.guard = guard
        self.settings = settings
        self.live = Live(store, models.learned_up_to)
        for served in models if store.items() else ():
            models.put(with_catalogue(served, store.items()))
        self.metrics = Metrics()
        self.judged = Judged(self.metrics)
        self.outcomes = Outcomes()
        self.refitter: Refitter | None = None
        self._watching: asyncio.Task[None] | None = None
        self.lists: Batcher[ListRequest, ListAnswer] = Batcher(self._lists)

    async def start(self) -> None:
        """Begin to take feedback, and to fit again where that was asked for."""
        self._watching = asyncio.create_task(self._watch_files())
        if self.refitter is not None:
            self.refitter.start()

    async def close(self) -> None:
        """End what runs beside the answers, and flush the store."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self.refitter is not None:
            await self.refitter.close()
        await self.commit.close()
        self.store.close()

    async def _watch_files(self) -> None:
        """Serve what another process wrote into the models' files: one that fits, or one that forgets a user."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for served in self.models:
                if has_changed(served):
                    try:
                        self.models.put(await asyncio.to_thread(self.loaded, served.path))
                    except PalateError as error:
                        LOG.warning("the file of a model cannot be loaded", extra={"reason": str(error)})

    def loaded(self, path: Path) -> Served:
        """The model of a file, with the items that were put since."""
        return with_catalogue(load_served(path), self.store.items())

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep items, and let every model know them."""
        self.store.put_items(items)
        for served in self.models:
            self.models.put(with_catalogue(served, items))

    def reload(self, served: Sequence[Served]) -> None:
        """Let these models take the place of those of the same names, and see which keys there are now."""
        for one in served:
            self.models.put(one)
        self.guard.renew(self.store.keys())

    def person(
        self,
        served: Served,
        user: Label | None,
        likes: Mapping[str, float] | None = None,
        session: Sequence[Label] | None = None,
    ) -> Person:
        """Who a request is about. Raises ProblemError unless exactly one of the three says so."""
        if sum(one is not None for one in (user, likes, session)) != 1:
            raise ProblemError(422, "Give one of user, likes and session.")
        if user is None:
            return described(served.model, likes, session)
        return known_user(served.model, user, self.live.events_of(str(user), served.learned_up_to))

    def _lists(self, asked: Sequence[ListRequest]) -> Sequence[ListAnswer | Exception]:
        """The answers to requests that came together."""
        began = time.perf_counter()
        self.live.refresh()
        found: dict[int, ListAnswer | Exception] = {}
        ready: dict[str, list[tuple[int, ListRequest, Served, Person]]] = defaultdict(list)
        for at, request in enumerate(asked):
            try:
                options = self._in_scenario(request)
                served = self.models.of(request.user, options.model)
                person = self.person(served, request.user, request.likes, request.session)
                ready[served.id].append((at, options, served, person))
            except (PalateError, ProblemError) as error:
                found[at] = error
        people = [person for group in ready.values() for *_, person in group]
        self.metrics.fold_ins.inc(sum(person.history is not None for person in people))
        self.metrics.unknown_users.inc(sum(not person.is_known for person in people))
        for group in ready.values():
            served = group[0][2]
            made = served.lists([(options, person) for _, options, _, person in group])
            took = round((time.perf_counter() - began) * 1000, 3)
            for (at, _, _, person), items in zip(group, made, strict=True):
                if isinstance(items, PalateError):
                    found[at] = items
                else:
                    found[at] = ListAnswer(answer_id(served), served.id, person.label, person.is_known, took, items)
        return [found[at] for at in range(len(asked))]

    def _in_scenario(self, request: ListRequest) -> ListRequest:
        """The request with the options of its scenario, where it does not give its own."""
        if request.scenario is None:
            return request
        if request.scenario not in self.settings.scenarios:
            known = ", ".join(sorted(self.settings.scenarios)) or "none"
            raise ProblemError(404, f"There is no scenario {request.scenario!r}; there are: {known}.")
        own = msgspec.structs.asdict(request)
        defaults = msgspec.structs.asdict(ListRequest())
        given = {name: value for name, value in own.items() if value != defaults[name]}
        return msgspec.convert({**self.settings.scenarios[request.scenario], **given}, ListRequest)


def answer_id(served: Served) -> str:
    """The id of an answer. It begins with that of the model: feedback that names it says whose answer it was."""
    return f"{served.id}.{secrets.token_hex(8)}"
