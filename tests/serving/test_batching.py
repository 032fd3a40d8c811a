"""Batcher: who is answered together, who alone, and what a failure means for each."""

import asyncio

import pytest

pytest.importorskip("msgspec")

from palate.serving.batching import Batcher


def passes_of(*turns):
    """What each pass is asked when in each turn of the loop some more ask, and what everybody got."""
    passes = []

    def answer(asked):
        passes.append(list(asked))
        return [ValueError(word) if word.startswith("bad") else word.upper() for word in asked]

    async def run():
        batcher, tasks = Batcher(answer), []
        for turn in turns:
            tasks += [asyncio.ensure_future(batcher.ask(word)) for word in turn]
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    return passes, asyncio.run(run())


def test_those_who_ask_in_one_turn_are_answered_in_one_pass():
    assert passes_of(["a", "b", "c"]) == ([["a", "b", "c"]], ["A", "B", "C"])


def test_one_who_asks_alone_waits_for_nobody():
    passes, answers = passes_of(["a"], [], [], ["b"])
    assert passes == [["a"], ["b"]]
    assert answers == ["A", "B"]


def test_those_who_come_while_each_turn_brings_more_join():
    passes, answers = passes_of(["a", "b"], ["c"], ["d"], [], [], ["e"])
    assert passes == [["a", "b", "c", "d"], ["e"]]
    assert answers == list("ABCDE")


def test_nobody_waits_forever_where_every_turn_brings_more(monkeypatch):
    monkeypatch.setattr("palate.serving.batching.LONGEST", 0.0)
    passes, _ = passes_of(["a", "b"], ["c", "d"], ["e", "f"])
    assert [len(one) for one in passes] == [2, 2, 2]


def test_a_failure_reaches_only_those_it_concerns():
    _, (first, second, third) = passes_of(["a", "bad one", "c"])
    assert (first, third) == ("A", "C")
    assert isinstance(second, ValueError)


def test_a_pass_that_fails_fails_for_everybody():
    def answer(asked):
        raise RuntimeError("no pass")

    async def run():
        batcher = Batcher(answer)
        return await asyncio.gather(batcher.ask("a"), batcher.ask("b"), return_exceptions=True)

    assert [str(error) for error in asyncio.run(run())] == ["no pass", "no pass"]
