"""Curves of training, the learning rate search, and weight decay."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import assert_legible, lines, ticks, title, words
from palate.errors import OptionError
from palate.recommender import Recommender

pytest.importorskip("matplotlib")
from palate import plotting

RECORDS = [{"epoch": e, "train_loss": 1 / e, "valid_loss": 1 + (e - 3) ** 2} for e in range(1, 7)]


SWEEP = [(0.0, 0.3, 1.2, 90.0), (1e-3, 0.4, 1.0, 60.0), (1e-2, 0.6, 0.9, 40.0), (0.1, 0.9, 0.95, 9.0)]


@dataclass
class Record:
    epoch: int
    train_loss: float
    valid_loss: float | None


class History:
    records = RECORDS


class LikeALearner:
    recorder = SimpleNamespace(
        epochs=[
            SimpleNamespace(number=r["epoch"], train_loss=r["train_loss"], valid_loss=r["valid_loss"]) for r in RECORDS
        ],
        losses=[1.0, 2.0],
    )


def test_curves_come_from_records_of_any_kind():
    given = [Record(**record) for record in RECORDS]
    for records in (RECORDS, tuple(given), iter(given), History(), LikeALearner(), LikeALearner.recorder):
        figure = plotting.training_curves(records)
        drawn = lines(figure)
        np.testing.assert_allclose(drawn["training"], [range(1, 7), [1 / e for e in range(1, 7)]])
        np.testing.assert_allclose(drawn["validation"][1], [5, 2, 1, 2, 5, 10])
        assert "best validation: 1 at epoch 3" in words(figure)
        assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("epoch", "loss")


def test_curves_of_the_sweeps_of_a_fit(parts):
    sweeps = parts.sweeps
    figure = plotting.training_curves(sweeps)
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["training, single draws"][1], [sweep.train_rmse for sweep in sweeps])
    averaged = [(sweep.number, sweep.average_rmse) for sweep in sweeps if sweep.average_rmse is not None]
    np.testing.assert_allclose(drawn["training"].T, averaged)  # the model is the average of the draws
    kept = [sweep.train_rmse for sweep in sweeps if sweep.average_rmse is not None]
    assert drawn["training"][1][-1] <= np.mean(kept)  # a mean square is convex
    known = [(sweep.number, sweep.valid_rmse) for sweep in sweeps if sweep.valid_rmse is not None]
    np.testing.assert_allclose(drawn["validation"].T, known)  # it begins where there are validation errors
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("sweep", "RMSE")


@pytest.mark.parametrize("name", ["sweeps", "records", "epochs"])
def test_curves_of_a_model_that_kept_its_history(name, parts):
    rec = parts.rec
    told = Recommender(replace(rec.model, training={"n_sweeps": 6, name: RECORDS}))
    np.testing.assert_allclose(lines(plotting.training_curves(told))["training"][0], range(1, 7))
    silent = Recommender(replace(rec.model, training={"n_sweeps": 6, "train_rmse": 0.9}))
    with pytest.raises(OptionError, match=r"callback=sweeps\.append"):
        plotting.training_curves(silent)


def test_curves_leave_out_what_is_missing():
    only = plotting.training_curves([{"train_loss": 2.0}, {"train_loss": float("nan")}, {"train_loss": 1.0}])
    np.testing.assert_allclose(lines(only)["training"], [[1, 3], [2, 1]])
    assert "validation" not in lines(only)
    assert_legible(only)
    assert_legible(plotting.training_curves(RECORDS[:1]))
    diverged = [{"epoch": 1, "train_loss": 1.0, "valid_loss": 2.0},
                {"epoch": 2, "train_loss": float("inf"), "valid_loss": float("nan")}]  # fmt: skip
    assert "best validation: 2 at epoch 1" in words(plotting.training_curves(diverged))


@pytest.mark.parametrize("given", [[], None, "text", 3, {}, {"train_loss": [1, 2]}, [{"loss": 3}],
                                   [None], [{"train_loss": None}], [{"train_loss": "x"}],
                                   [{"train_loss": [1, 2]}]])  # fmt: skip
def test_curves_of_nothing_say_so(given):
    with pytest.raises(OptionError, match="train_loss"):
        plotting.training_curves(given)


def test_lr_finder_shows_the_fall_and_lets_the_rest_go():
    rates, losses = np.geomspace(1e-5, 10, 40), np.linspace(2, 1, 40)
    losses[-5:] = [3, 30, 300, np.inf, np.nan]
    figure = plotting.lr_finder(rates, losses, suggestion=2e-3)
    ax = figure.axes[0]
    drawn = ax.lines[0].get_xydata()
    np.testing.assert_allclose(drawn, np.column_stack([rates, losses])[:38])
    bottom, top = ax.get_ylim()
    assert bottom < losses[:35].min() and 2 < top < 5
    assert "suggested: 0.002" in words(figure)
    assert ax.lines[2].get_xdata()[0] == 2e-3
    np.testing.assert_allclose(
        ax.lines[1].get_ydata()[:31], [np.mean(losses[max(0, at - 3) : at + 4]) for at in range(31)]
    )
    assert_legible(figure)
    assert len(plotting.lr_finder([1, 2], [1, 1]).axes[0].lines) == 2
    assert_legible(plotting.lr_finder([0.1], [3.0]))


def test_lr_finder_shows_what_the_suggestion_is_read_from():
    rates, losses = np.geomspace(1e-5, 1, 51), 1 + np.log10(np.geomspace(1e-5, 1, 51) / 1e-2) ** 2
    search = SimpleNamespace(lrs=rates.tolist(), losses=losses.tolist(), suggestion=1e-3)
    found = words(plotting.lr_finder(search))
    assert {"each batch", "smoothed", "lowest: 0.01", "suggested, a tenth of it: 0.001"} <= set(found)
    assert "suggested: 0.5" in words(plotting.lr_finder(rates, losses, 0.5))
    drawn = plotting.lr_finder(rates, losses, smoothed=np.full(51, 1.5)).axes[0].lines[1]
    np.testing.assert_array_equal(drawn.get_ydata(), 1.5)
    assert not any("suggested" in word for word in words(plotting.lr_finder(SimpleNamespace(
        lrs=[1, 2], losses=[1.0, 2.0], suggestion=float("nan")))))  # fmt: skip
    for refused in (lambda: plotting.lr_finder([1, 2]), lambda: plotting.lr_finder([1, 2], [1, 2], smoothed=[1])):
        with pytest.raises(OptionError, match=r"lr_finder takes|smoothed must"):
            refused()


@pytest.mark.parametrize(
    "given", [([1], [1, 2]), ([], []), ([[1]], [[1]]), ([0, -1], [1, 1]), ([1], [np.nan]), ([1], [1], 0.0),
              ([1], [1], -1), ([1], [1], float("nan"))])  # fmt: skip
def test_lr_finder_refuses_nonsense(given):
    with pytest.raises(OptionError):
        plotting.lr_finder(*given)


def test_weight_decay_in_two_panels():
    shuffled = [SWEEP[at] for at in (2, 0, 3, 1)]
    figure = plotting.weight_decay_sweep(shuffled)
    assert [title(figure, at) for at in (0, 1)] == ["Error by weight decay", "Size of the weights"]
    np.testing.assert_allclose(lines(figure)["training"], [[-4, -3, -2, -1], [0.3, 0.4, 0.6, 0.9]])
    np.testing.assert_allclose(lines(figure, 1)["norm"][1], [90, 60, 40, 9])
    assert ticks(figure, "x") == ["0", "0.001", "0.01", "0.1"]  # 0 one step before the smallest other
    assert "best validation: 0.9 at 0.01" in words(figure)


@given(st.lists(st.sampled_from([0.0, *np.geomspace(1e-6, 10, 29).round(9)]), min_size=1, max_size=30, unique=True))
@settings(deadline=None, max_examples=10)
def test_weight_decays_stand_in_order_and_their_labels_apart(decays):
    figure = plotting.weight_decay_sweep([(decay, 1.0, 2.0 + decay, 3.0) for decay in decays])
    places = lines(figure)["training"][0]
    assert (np.diff(places) > 0).all() and len(places) == len(decays)
    assert_legible(figure)


@pytest.mark.parametrize("given", [[], [(1, 2, 3)], [(-1, 1, 1, 1)], [(1, 2, 3, 4, 5)], [(np.nan, 1, 1, 1)],
                                   [(1, 2, 3, "x")], [(1, 2, 3, 4), (1, 2, 3)]])  # fmt: skip
def test_weight_decay_refuses_other_rows(given):
    with pytest.raises(OptionError, match="rows of"):
        plotting.weight_decay_sweep(given)
