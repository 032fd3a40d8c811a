"""The workers of a Ray cluster: Ray starts processes, moves arrays and says what was lost. All calls of Ray are here.

Each worker is an actor. It gets two tasks at a time, so that it need not wait for the next one. If a worker is lost,
its tasks go to the others, and Ray is asked for a new worker in its place. Nothing else is needed: tasks are pure.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from palate import kernels
from palate.data.blocks.folder import Folder
from palate.data.blocks.rows_on_disk import append, begin_copy, end_copy, is_seen, rows_alone
from palate.distributed.exchange import Part
from palate.distributed.worker import About, Layout, Worker, about_here, use_level
from palate.errors import ClusterError, OptionError

T = TypeVar("T")

IN_FLIGHT = 2  # tasks of a worker: one that it does, and the next
AHEAD = 4  # tasks a worker may be given before the first of them is taken: what bounds the results that wait
MAX_LOSSES = 5  # workers that one task, or the start of one worker, may cost
START_SECONDS = 120.0  # for a worker to start, before the fit gives up
COPIED_AT_ONCE = 1 << 26  # bytes of a file that is copied to a node


@dataclass(frozen=True)
class Slot:
    """Where a worker goes: a node, and how many of its CPUs it takes."""

    node: str  # Ray's id
    address: str
    cpus: float


@dataclass(eq=False)
class _Actor:
    """A worker that was asked for: an actor of Ray, and how often its slot was filled in vain."""

    handle: Any
    slot: Slot
    n_failures: int = 0


@dataclass
class _Shared:
    """A value that tasks share: where it or its parts are, and the key of an array in parts."""

    value: Any
    refs: list[Any]
    key: int | None = None

    def put_whole(self) -> None:
        """Send an array from here that came in parts, since some may be lost."""
        if self.key is not None:
            self.refs, self.key = [_ray().put(self.value)], None


@dataclass
class _Running:
    """A task that a worker has: its number, what it is, and where its array will be."""

    actor: _Actor
    number: int
    task: tuple[Any, ...]
    array: Any

    def result(self, rest: Any) -> Any:
        """What the task gives; rest: the reference of all but the array. Raises what the task raised."""
        found = _result(rest)
        return replace(found, array=_result(self.array), kept=self.array) if isinstance(found, Part) else found


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster; `palate.distributed.ray` makes it."""

    address: str | None = None
    workers: int | None = None
    threads: int = 0
    place: bool = False

    @contextmanager
    def connect(self) -> Iterator[RayExchange]:
        """Start the workers; they are ended with the context, and the kernels are as they were before.

        Raises OptionError without Ray, ClusterError if workers do not start or have other versions.
        """
        ray = _ray()
        is_ours = not ray.is_initialized()
        if is_ours:
            _init(self.address)
        level, exchange = kernels.level(), RayExchange(self.threads, self.place)
        try:
            exchange.start(_slots(self.workers, self.threads))
            yield exchange
        finally:
            kernels.use_level(level)
            exchange.end()
            if is_ours:
                ray.shutdown()


@dataclass
class RayExchange:
    """Workers on the nodes of a Ray cluster."""

    threads: int
    places: bool  # whether folders are copied to nodes that do not see them
    n_workers: int = 0
    level: str = ""
    _ready: list[_Actor] = field(default_factory=list)
    _starting: dict[Any, _Actor] = field(default_factory=dict)  # by the reference of their first answer
    _assembled: deque[tuple[NDArray[Any], list[Any]]] = field(default_factory=lambda: deque(maxlen=2))
    _keys: Iterator[int] = field(default_factory=count)
    _shown: dict[str, dict[str, Any]] = field(default_factory=dict)  # folders with their manifests

    @property
    def about(self) -> dict[str, Any]:
        """How many workers there are, their threads, and the instruction set of all kernels."""
        return {"workers": {"n": self.n_workers, "threads": self.threads, "level": self.level}}

    def start(self, slots: list[Slot]) -> None:
        """Start a worker in each slot, and pin the kernels of all to the lowest instruction set among them."""
        ray = _ray()
        self.n_workers = len(slots)
        for slot in slots:
            self._ask_for(slot)
        ready, late = ray.wait(list(self._starting), num_returns=len(slots), timeout=START_SECONDS)
        if late:
            raise ClusterError(_late({self._starting[ref].slot.address for ref in late}))
        levels = about_here().levels
        for ref in ready:
            about = self._welcome(ref)
            levels = [level for level in levels if level in about.levels]
        self.level = levels[-1]
        kernels.use_level(self.level)
        ray.get([actor.handle.call.remote(use_level, self.level) for actor in self._ready])

    def end(self) -> None:
        """End all workers."""
        ray = _ray()
        for actor in (*self._ready, *self._starting.values()):
            ray.kill(actor.handle)
        self._ready, self._starting = [], {}
        self._assembled.clear()

    def show(self, folder: Path) -> None:
        """Copy a folder to nodes that do not see it, if that was asked for."""
        if not self.places:
            return
        manifest = rows_alone(Folder.read(folder))
        if self._shown.get(str(folder)) == manifest:
            return
        self._shown[str(folder)] = manifest
        for actor in self._ready:
            self._show(actor, str(folder))

    def put(self, value: Any) -> Any:
        """Put a value into the object store: a node fetches it once, for all of its workers.

        An array that was assembled here is not put: its parts are in the object stores of the nodes.
        """
        for array, refs in self._assembled:
            if array is value:
                return _Shared(value, refs, next(self._keys))
        return _Shared(value, [_ray().put(value)])

    def assembled(self, array: NDArray[Any], parts: list[Part]) -> None:
        """Remember where the parts of an array are. Only the last two arrays are kept: users and items."""
        self._assembled.append((array, [part.kept for part in parts]))

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], *shared: Any) -> Iterator[T]:
        """Yield function(*task, *shared) of each task, in the order of the tasks.

        Raises ClusterError if a task ends MAX_LOSSES workers, or no worker is left; and what the function raises.
        """
        todo = _Tasks(enumerate(tasks))
        running: dict[Any, _Running] = {}
        done: dict[int, T] = {}
        at = 0
        while True:
            for actor in self._free(running):
                found = todo.next(before=at + AHEAD * self.n_workers)
                if found is None:
                    break
                layout, refs = _laid_out(shared)
                do = actor.handle.do.options(num_returns=2)
                array, rest = do.remote(function, found[1], layout, *refs)
                running[rest] = _Running(actor, *found, array)
            if not running and todo.are_done:
                return
            for ref in self._wait(running):
                if ref in self._starting:
                    self._greet(ref)
                    continue
                here = running.pop(ref)
                try:
                    done[here.number] = here.result(ref)
                except _losses() as error:
                    todo.give_back(here.number, here.task)
                    for value in shared:
                        value.put_whole()
                    self._replace(here.actor, error)
            while at in done:
                yield done.pop(at)
                at += 1

    def _free(self, running: dict[Any, _Running]) -> Iterator[_Actor]:
        """Workers that may get a task, those without any first; a worker comes once for each task it may get."""
        load = Counter(id(here.actor) for here in running.values())
        for n in range(IN_FLIGHT):
            yield from (actor for actor in self._ready if load[id(actor)] <= n)

    def _wait(self, running: Iterable[Any]) -> list[Any]:
        """References of which something is known now."""
        refs = [*running, *self._starting]
        patience = None if self._ready else START_SECONDS
        found, _ = _ray().wait(refs, num_returns=1, timeout=patience) if refs else ([], [])
        if not found:
            raise ClusterError(
                "all workers were lost, and none has started again. The fit ends here: look at the nodes "
                "(`ray status`), and fit again."
            )
        return list(found)

    def _ask_for(self, slot: Slot, n_failures: int = 0) -> None:
        """Ask Ray for a worker; it is used when it has answered."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where = NodeAffinitySchedulingStrategy(slot.node, soft=True)  # elsewhere if the node is gone
        cls = _ray().remote(Worker)
        handle = cls.options(num_cpus=slot.cpus, scheduling_strategy=where).remote()
        self._starting[handle.call.remote(about_here)] = _Actor(handle, slot, n_failures)

    def _welcome(self, ref: Any) -> About:
        """Use a worker that has answered. Raises ClusterError if it has other versions, or could not start."""
        actor = self._starting.pop(ref)
        try:
            about: About = _result(ref)
        except _losses() as error:
            reason = str(error).strip().splitlines()[-1]
            raise ClusterError(f"no worker starts on {actor.slot.address}, which needs palate too: {reason}") from error
        here = about_here().versions
        for name, version in about.versions.items():
            if version != here[name]:
                raise ClusterError(
                    f"the worker on {about.node} has {name} {version}, and this process {here[name]}: install the same "
                    f"version on all nodes (pip install {name}=={here[name]})."
                )
        self._ready.append(actor)
        return about

    def _greet(self, ref: Any) -> None:
        """Use a worker that has come in place of a lost one, or ask for another one if it is lost too."""
        actor = self._starting[ref]
        losses: tuple[type[Exception], ...] = (ClusterError, *_losses())
        try:
            self._welcome(ref)
            _ray().get(actor.handle.call.remote(use_level, self.level))
            for folder in self._shown:
                self._show(actor, folder)
        except losses:
            if actor in self._ready:
                self._ready.remove(actor)
            if actor.n_failures < MAX_LOSSES:
                self._ask_for(actor.slot, actor.n_failures + 1)
            elif not self._ready and not self._starting:
                raise

    def _replace(self, actor: _Actor, error: Exception) -> None:
        """Ask for another worker in place of a lost one; not if only what a task needed or gave was lost."""
        from ray.exceptions import ObjectLostError

        if actor in self._ready and not isinstance(error, ObjectLostError):
            self._ready.remove(actor)
            _ray().kill(actor.handle)
            self._ask_for(actor.slot)

    def _show(self, actor: _Actor, folder: str) -> None:
        def call(function: Callable[..., Any], *values: Any) -> Any:
            return _ray().get(actor.handle.call.remote(function, *values))

        manifest = self._shown[folder]
        if call(is_seen, folder, manifest):
            return
        copy = call(begin_copy)
        for name in manifest["files"]:
            with (Path(folder) / name).open("rb") as file:
                call(append, copy, name, b"")
                while part := file.read(COPIED_AT_ONCE):
                    call(append, copy, name, part)
        call(end_copy, copy, manifest)
        call(is_seen, folder, manifest)


class _Tasks:
    """Tasks in order, those that were lost first."""

    def __init__(self, source: Iterator[tuple[int, tuple[Any, ...]]]) -> None:
        self.lost: deque[tuple[int, tuple[Any, ...]]] = deque()
        self._source = source
        self._n_losses: Counter[int] = Counter()
        self._next: tuple[int, tuple[Any, ...]] | None = next(source, None)

    @property
    def are_done(self) -> bool:
        """Whether no task waits."""
        return not self.lost and self._next is None

    def next(self, before: int) -> tuple[int, tuple[Any, ...]] | None:
        """The next task with its number; None if there is none below `before`."""
        if self.lost:
            return self.lost.popleft()
        if self._next is None or self._next[0] >= before:
            return None
        found, self._next = self._next, next(self._source, None)
        return found

    def give_back(self, number: int, task: tuple[Any, ...]) -> None:
        """Take back a task whose worker was lost. Raises ClusterError if that happened too often."""
        self._n_losses[number] += 1
        if self._n_losses[number] == MAX_LOSSES:
            raise ClusterError(
                f"{MAX_LOSSES} workers were lost one after the other at the same block of rows. They may need more "
                "memory than their nodes have: look at the logs of Ray, or give each worker a node of its own."
            )
        self.lost.append((number, task))


def _laid_out(shared: tuple[_Shared, ...]) -> tuple[Layout, list[Any]]:
    """How many references each shared value has, and all of them: Ray fetches what is named one by one."""
    return tuple((value.key, len(value.refs)) for value in shared), [ref for value in shared for ref in value.refs]


def _ray() -> Any:
    """The module ray. Raises OptionError if it is not installed."""
    try:
        import ray
    except ImportError:
        raise OptionError('palate.distributed.ray needs Ray: pip install "palate[ray]".') from None
    return ray


def _init(address: str | None) -> None:
    """Connect to the cluster at this address, to the one of this machine, or begin one here; quietly."""
    ray = _ray()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    reports = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that begins here sends no reports of its use
    log = logging.getLogger("ray")
    log_level = log.level
    log.setLevel(logging.ERROR)  # Ray logs before it has read logging_level
    try:
        if address is None:
            options["include_dashboard"] = False
        ray.init(address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise ClusterError(
            f"cannot connect to Ray {where}: {str(error).strip().splitlines()[0]} If the cluster asks for a token, set "
            "RAY_AUTH_MODE=token here too."
        ) from error
    finally:
        log.setLevel(log_level)
        if reports is None:
            del os.environ["RAY_USAGE_STATS_ENABLED"]


def _slots(workers: int | None, threads: int) -> list[Slot]:
    """Where workers go: one a node, or of `threads` CPUs each, in turn over the nodes. Raises ClusterError."""
    nodes = [node for node in _ray().nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    nodes.sort(key=lambda node: str(node["NodeID"]))
    rounds: list[tuple[int, Slot]] = []
    for node in nodes:
        cpus = node["Resources"]["CPU"]
        slot = Slot(node["NodeID"], node["NodeManagerAddress"], threads or cpus)
        rounds += [(turn, slot) for turn in range(int(cpus // threads) if threads else 1)]
    slots = [slot for _, slot in sorted(rounds, key=lambda entry: entry[0])]
    if not slots or (workers is not None and workers > len(slots)):
        each = f"{threads} CPUs each" if threads else "one node each"
        raise ClusterError(
            f"the cluster has room for {len(slots)} workers of {each}, and {workers or 1} are asked for: pass fewer "
            "workers, or another number of threads."
        )
    return slots[:workers]


def _late(addresses: set[str]) -> str:
    return (
        f"workers on {', '.join(sorted(addresses))} have not started within {START_SECONDS:.0f} s. If other programs "
        "use these nodes (`ray status` tells), pass fewer workers, or fewer threads."
    )


def _losses() -> tuple[type[Exception], ...]:
    """The errors by which Ray says that a worker, or what it had computed, is lost."""
    from ray import exceptions

    kinds = (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.WorkerCrashedError)
    return (*kinds, exceptions.NodeDiedError, exceptions.OutOfMemoryError, exceptions.ActorUnschedulableError)


def _result(ref: Any) -> Any:
    """What a reference stands for. Raises what the task raised, ClusterError if it could not read what it was given."""
    from ray.exceptions import RaySystemError, RayTaskError

    try:
        return _ray().get(ref)
    except (RayTaskError, RaySystemError) as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        if not isinstance(cause, RaySystemError):
            raise cause from None
        reason = str(cause).splitlines()[0].removeprefix("System error: ")
        advice = "Put ratings where all nodes see them under the same path."
        raise ClusterError(f"a worker cannot open what it was given: {reason} {advice}") from None
