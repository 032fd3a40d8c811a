"""Service: what the endpoints share: models, store, keys, and lists that are made together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol

import msgspec

from palate.data.vocabulary import Label
from palate.errors import PalateError
from palate.serving.batching import Batcher
from palate.serving.catalogue import with_catalogue
from palate.serving.guard import Guard
from palate.serving.hosts import Hosts
from palate.serving.judging import Judged
from palate.serving.learning import Outcome
from palate.serving.live import Live
from palate.serving.metrics import Metrics
from palate.serving.models import Models, load_served, stamp_of
from palate.serving.outcomes import Outcomes
from palate.serving.people import Person, described, known_user
from palate.serving.problems import ProblemError
from palate.serving.schema import ListAnswer, ListRequest
from palate.serving.served import Served, Stamp
from palate.serving.store import Item, Store

LOG = logging.getLogger("palate.serving")
_PROCESS = secrets.token_hex(6)  # so that no two processes give the same id
_NUMBERS = count(1)
LOOK_EVERY = 1.0  # seconds between looks at the models' files and the keys


@dataclass(frozen=True)
class Settings:
    """How a service behaves.

    Attributes:
        scenarios (mapping, default {}): {name: options of a list}.
        max_body (int, default 1_000_000): Bytes of a request's body.
        seconds (float, default 10.0): After so long a request is given up.
        hosts (set of bytes, default None): The hosts that requests may name; None is any.
    """

    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_body: int = 1_000_000
    seconds: float = 10.0
    hosts: Hosts | None = None


class Fits(Protocol):
    """What fits the first model again: refitting.py."""

    outcomes: list[Outcome]

    @property
    def when(self) -> str:
        """The policy as it was written."""

    @property
    def is_running(self) -> bool:
        """Whether this process is fitting a model."""

    def start(self) -> None:
        """Begin to watch when to fit."""

    async def refit(self) -> Outcome:
        """Fit now."""

    async def close(self) -> None:
        """Stop, and give up a fit under way."""


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
        self.refitter: Fits | None = None
        self._watching: asyncio.Task[None] | None = None
        self._unreadable: dict[str, Stamp] = {}  # files of models that could not be loaded
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
        """Take over what other processes write: the models' files (a fit, a forgotten user), and the keys."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                self.guard.renew(await asyncio.to_thread(self.store.keys))
                for served in self.models:
                    await self._look_at(served)
            except Exception as error:
                LOG.warning("the models and keys stay as they were", extra={"reason": str(error)})

    async def _look_at(self, served: Served) -> None:
        """Serve the file of a model if it is another one than that which was loaded."""
        if served.path is None or (stamp := stamp_of(served.path)) in (None, served.stamp):
            return
        if self._unreadable.get(served.name) == stamp:
            return
        try:
            self.serve(await asyncio.to_thread(load_served, served.path))
        except PalateError as error:
            assert stamp is not None
            self._unreadable[served.name] = stamp  # said once; perhaps it is still being written
            LOG.warning("the file of a model cannot be loaded", extra={"reason": str(error)})

    def serve(self, served: Served) -> None:
        """Let a model take the place of the one of its name, with the items that were put since it was fitted."""
        self.models.put(with_catalogue(served, self.store.items()))

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep items, and let every model know them."""
        self.store.put_items(items)
        for served in self.models:
            self.models.put(with_catalogue(served, items))

    async def reload(self, scenarios: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Load the files of the models and the keys anew; what answers now goes on until then. Raises PalateError."""
        paths = [served.path for served in self.models if served.path is not None]
        new = [await asyncio.to_thread(load_served, path) for path in paths]
        self.guard.renew(await asyncio.to_thread(self.store.keys))
        for one in new:
            self.serve(one)
        if scenarios is not None:
            self.settings = replace(self.settings, scenarios=scenarios)

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
                options = self.in_scenario(request)
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

    def in_scenario(self, request: ListRequest) -> ListRequest:
        """The request with the options of its scenario, where it does not give its own. Raises ProblemError."""
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
    return f"{served.id}.{_PROCESS}{next(_NUMBERS):x}"
