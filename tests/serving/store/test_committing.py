"""Group commit: many requests of an event loop become few commits, and each request learns its own fate."""

import asyncio
import threading

import pytest

from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store import Added, Event, GroupCommit


class SlowStore:
    """Keeps ids in a set; each add() waits until it is let go, and what it was given can be looked at."""

    def __init__(self):
        self.kept, self.calls, self.go = [], [], threading.Semaphore(0)
        self.bad, self.error = set(), FeedbackError

    def add(self, events):
        self.calls.append([event.id for event in events])
        assert self.go.acquire(timeout=20)
        if self.bad & set(self.calls[-1]):
            raise self.error("bad")
        is_new = []
        for event in events:
            is_new.append(event.id not in self.kept)
            if is_new[-1]:
                self.kept.append(event.id)
        return Added(tuple(is_new), len(self.kept))


def events(*ids):
    return [Event(str(n), "ann", "tea") for n in ids]


def running(test):
    """Run a test of an event loop with a slow store, and end the thread of its commits afterwards."""

    async def whole():
        store = SlowStore()
        commit = GroupCommit(store, max_waiting=10, max_commit=6)
        try:
            await test(store, commit)
        finally:
            store.go.release(100)
            await commit.close()

    asyncio.run(asyncio.wait_for(whole(), 60))


async def begun(store, n_calls):
    """Wait until the store has been called n times."""
    while len(store.calls) < n_calls:
        await asyncio.sleep(0.001)


async def started(commit, requests):
    tasks = [asyncio.create_task(commit.add(request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


def test_what_arrives_during_a_commit_is_kept_by_the_next_one():
    async def test(store, commit):
        tasks = await started(commit, [events(1)])
        await begun(store, 1)
        tasks += await started(commit, [events(2, 3), events(4), events(3, 5)])
        assert commit.n_waiting == 5
        assert not any(task.done() for task in tasks)  # nothing is acknowledged before it is kept
        store.go.release()
        assert await tasks[0] == ((True,), 1)
        await begun(store, 2)
        assert not any(task.done() for task in tasks[1:])
        store.go.release()
        answers = await asyncio.gather(*tasks[1:])
        assert [answer.is_new for answer in answers] == [(True, True), (True,), (False, True)]
        assert store.calls == [["1"], ["2", "3", "4", "3", "5"]]
        assert commit.n_waiting == 0

    running(test)


def test_a_commit_has_an_end_and_a_large_request_goes_alone():
    async def test(store, commit):
        tasks = await started(commit, [events(0)])
        await begun(store, 1)
        tasks += await started(commit, [events(1, 2, 3, 4), events(5, 6), events(7)])
        store.go.release(3)
        await asyncio.gather(*tasks)
        assert store.calls == [["0"], ["1", "2", "3", "4", "5", "6"], ["7"]]
        store.go.release()
        assert sum((await commit.add(events(*range(100, 120)))).is_new) == 20

    running(test)


def test_too_much_is_refused_and_taken_again_later():
    async def test(store, commit):
        first = await started(commit, [events(0)])
        await begun(store, 1)
        waiting = await started(commit, [events(1, 2, 3, 4), events(5, 6, 7, 8, 9)])
        with pytest.raises(StoreBusyError, match=r"9 events wait to be kept, and at most 10 may"):
            await commit.add(events(10, 11))
        waiting += await started(commit, [events(12)])
        store.go.release(10)
        await asyncio.gather(*first, *waiting)
        assert (await commit.add(events(10, 11))).is_new == (True, True)

    running(test)


@pytest.mark.parametrize("error", [FeedbackError, ValueError])
def test_events_at_fault_fail_alone(error):
    async def test(store, commit):
        store.bad, store.error = {"3"}, error
        tasks = await started(commit, [events(0)])
        await begun(store, 1)
        tasks += await started(commit, [events(1), events(2, 3), events(4, 1)])
        store.go.release(10)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Added, Added, error, Added]
        assert answers[3].is_new == (True, False)
        assert store.kept == ["0", "1", "4"]

    running(test)


def test_a_store_that_fails_is_asked_once_and_all_are_told():
    async def test(store, commit):
        store.bad, store.error = {"1"}, StoreError
        tasks = await started(commit, [events(0)])
        await begun(store, 1)
        tasks += await started(commit, [events(1), events(2)])
        store.go.release(10)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Added, StoreError, StoreError]
        assert answers[1] is not answers[2]
        assert len(store.calls) == 2
        assert (await commit.add(events(3))).is_new == (True,)  # and it goes on

    running(test)


def test_events_that_no_store_keeps_are_refused_at_once():
    async def test(store, commit):
        with pytest.raises(FeedbackError, match=r"the user has a NUL"):
            await commit.add([Event("e1", "a\0", "tea")])
        assert store.calls == []
        assert commit.n_waiting == 0

    running(test)


def test_who_stops_waiting_disturbs_nobody():
    async def test(store, commit):
        tasks = await started(commit, [events(0), events(1)])
        await begun(store, 1)
        tasks += await started(commit, [events(2), events(3)])
        tasks[0].cancel()
        tasks[2].cancel()
        store.go.release(10)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, True, False]
        assert sorted(store.kept) == ["0", "1", "2", "3"]

    running(test)


def test_closing_keeps_what_waits_and_takes_no_more():
    async def test(store, commit):
        tasks = await started(commit, [events(0)])
        await begun(store, 1)
        tasks += await started(commit, [events(*range(1, 6)), events(*range(6, 10))])
        closing = [asyncio.create_task(commit.close()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in closing)
        with pytest.raises(StoreError, match=r"about to stop"):
            await commit.add(events(11))
        store.go.release(10)
        await asyncio.gather(*closing)
        assert all(task.done() for task in tasks)
        assert store.kept == [str(n) for n in range(10)]

    running(test)


def test_many_requests_through_a_real_store(store):
    """Requests of 1 to 4 events whose ids overlap: each id is new exactly once, and what is told is there."""

    async def whole():
        commit = GroupCommit(store)

        async def client(k):
            told = []
            for n in range(20):
                ids = [f"e{(7 * k + n * step) % 150}" for step in range(1 + (k + n) % 4)]
                added = await commit.add([Event(id_, f"user {id_}", "tea") for id_ in ids])
                assert added.number <= store.last()
                told += zip(ids, added.is_new, strict=True)
            return told

        told = await asyncio.gather(*(client(k) for k in range(16)))
        await commit.close()
        return [pair for pairs in told for pair in pairs]

    told = asyncio.run(whole())
    assert sorted(id_ for id_, is_new in told if is_new) == sorted({id_ for id_, _ in told})
    assert store.count() == len({id_ for id_, _ in told})
