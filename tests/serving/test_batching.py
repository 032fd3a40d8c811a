"""What is asked together is answered together, each with its own answer."""

import asyncio
import time

import pytest

from palate.serving.batching import Batcher


@pytest.fixture
def passes():
    """The sizes of the passes made."""
    return []


@pytest.fixture
def batcher(passes):
    def answer(asked):
        passes.append(len(asked))
        return [ValueError(f"no {one}") if one < 0 else one * 10 for one in asked]

    return Batcher(answer)


def test_those_of_one_turn_get_their_own_answers(batcher, passes):
    async def all_of_them():
        return await asyncio.gather(*(batcher.ask(one) for one in range(5)))

    assert asyncio.run(all_of_them()) == [0, 10, 20, 30, 40]
    assert passes == [5]


def test_one_failure_is_the_failure_of_one(batcher):
    async def all_of_them():
        return await asyncio.gather(*(batcher.ask(one) for one in (1, -2, 3)), return_exceptions=True)

    first, second, third = asyncio.run(all_of_them())
    assert (first, third) == (10, 30)
    assert str(second) == "no -2"


def test_under_load_the_next_pass_waits_for_others_and_alone_it_does_not(batcher, passes):
    async def two_in_a_row():
        first = asyncio.ensure_future(batcher.ask(1))
        for _ in range(3):  # turns of the loop
            await asyncio.sleep(0)
        return await asyncio.gather(first, batcher.ask(2))

    assert asyncio.run(two_in_a_row()) == [10, 20]
    assert passes == [1, 1]
    passes.clear()
    batcher._took, batcher._ended = 10.0, time.perf_counter()  # a long pass that has just ended
    assert asyncio.run(two_in_a_row()) == [10, 20]
    assert passes == [2]


def test_who_has_gone_disturbs_nobody(batcher):
    async def one_leaves():
        gone, stays = asyncio.ensure_future(batcher.ask(1)), asyncio.ensure_future(batcher.ask(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(one_leaves()) == 20


def test_a_pass_that_fails_as_a_whole_fails_for_all():
    def fail(_):
        raise RuntimeError("broken")

    async def all_of_them():
        asked = Batcher(fail)
        return await asyncio.gather(asked.ask(1), asked.ask(2), return_exceptions=True)

    assert [str(one) for one in asyncio.run(all_of_them())] == ["broken", "broken"]
