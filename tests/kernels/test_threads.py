"""Threads for work beside the caller's, where the system grants them and where it does not."""

import threading

import numpy as np
import pytest

import palate
from palate.kernels.threads import InThisThread, ahead, thread_pool


def grants(monkeypatch, most):
    """Let only so many threads run at once."""
    start, started = threading.Thread.start, []

    def limited(self):
        if sum(thread.is_alive() for thread in started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_work_is_done_once_and_in_order_whatever_is_granted(monkeypatch, n, most):
    grants(monkeypatch, most)
    done = []
    with thread_pool(n) as pool:
        assert list(pool.map(lambda number: done.append(number) or number**2, range(20))) == [k**2 for k in range(20)]
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
    assert sorted(done) == list(range(20))
    assert isinstance(pool, InThisThread) == (most == 0)


@pytest.mark.parametrize("most", [0, 100])
def test_errors_come_with_the_result(monkeypatch, most):
    grants(monkeypatch, most)
    with thread_pool(1) as pool:
        future = pool.submit(int, "three")
        with pytest.raises(ValueError, match="three"):
            future.result()


@pytest.mark.parametrize(
    "recipe", [palate.ALS(n_factors=2), palate.SGD(n_factors=2, n_epochs=2), palate.Bayes(n_factors=2, n_sweeps=4)]
)
def test_a_fit_without_threads_gives_the_same_model(monkeypatch, recipe):
    ratings = palate.datasets.synthetic(60, 40, 900, seed=1)
    expected = recipe.fit(ratings).model.factors
    with monkeypatch.context() as patch:
        grants(patch, 0)
        found = recipe.fit(ratings).model.factors
    assert np.array_equal(found.users, expected.users)
    assert np.array_equal(found.items, expected.items)


def test_ease_without_threads_gives_the_same_model(monkeypatch):
    likes = palate.datasets.synthetic(60, 40, 900, seed=1, kind="implicit")
    expected = palate.EASE().fit(likes).recommend("u1")
    with monkeypatch.context() as patch:
        grants(patch, 0)
        assert palate.EASE().fit(likes).recommend("u1").equals(expected)


# ---- ahead


def test_items_made_ahead_come_in_order():
    assert list(ahead(iter(range(20)))) == list(range(20))
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([None, False]))) == [None, False]


def test_the_next_item_is_made_while_one_is_used():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    for item in ahead(items()):
        assert made.wait(60), item


def test_an_error_comes_where_the_item_would():
    def items():
        yield 1
        raise ValueError("second")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="second"):
        next(found)


def test_items_can_be_left_before_the_last():
    for item in ahead(iter(range(20))):
        if item == 3:
            break
    assert item == 3


@pytest.mark.parametrize("most", [0, 1])
def test_items_are_made_with_whatever_threads_are_granted(monkeypatch, most):
    grants(monkeypatch, most)
    assert list(ahead(iter(range(5)))) == list(range(5))
