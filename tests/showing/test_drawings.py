"""Drawings show the values they are given: read back from what was drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import OptionError

matplotlib = pytest.importorskip("matplotlib")
from palate.showing.pictures import canvas, drawings  # noqa: E402


@pytest.fixture
def ax():
    return canvas.Picture().subplots()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_curves_are_drawn_as_given_with_their_names_at_the_ends(ax):
    curves = {"model": drawings.Curve((1, 5, 10), (0.1, float("nan"), 0.3), intervals=[(10.0, 0.2, 0.4)]),
              "baseline": drawings.Curve((1, 5, 10), (0.1, 0.2, 0.29), canvas.GRAY),
              "nothing": drawings.Curve((1, 2), (float("nan"), float("nan")))}  # fmt: skip
    drawings.draw_curves(ax, curves, log_x=True)
    one, other = ax.lines
    assert one.get_xydata().tolist() == [[1, 0.1], [10, 0.3]]
    assert other.get_xydata().tolist() == [[1, 0.1], [5, 0.2], [10, 0.29]]
    assert texts(ax) == ["baseline", "model"]
    assert [segment.tolist() for segment in ax.collections[0].get_segments()] == [[[10, 0.2], [10, 0.4]]]
    ax.figure.canvas.draw()
    low, high = (text.get_window_extent() for text in ax.texts)
    assert low.y1 <= high.y0  # though the curves end beside each other


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12), st.floats(1, 40))
@settings(deadline=None)
def test_names_keep_their_order_and_a_row_apart(heights, distance):
    moved = drawings.apart(np.sort(heights), distance)
    assert (np.diff(moved) >= distance - 0.5 - 1e-6).all()
    if (np.diff(np.sort(heights)) >= distance).all():
        np.testing.assert_array_equal(moved, np.sort(heights))


def test_groups_stand_side_by_side_with_their_sizes(ax):
    values = {"model": [(1.0, 0.9, 1.1), (0.8, 0.7, 0.9)], "Bias": [(1.2, 1.1, 1.3), (1.0, float("nan"), 1.1)]}
    drawings.draw_groups(ax, ["none", "1 to 20"], [3, 4000], values)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.8])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [1.2, 1.0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["none\n3", "1–20\n4,000"]
    assert set(texts(ax)) == {"model", "Bias"}


@pytest.mark.parametrize("start", [None, ("mean", 3.5)])
def test_a_waterfall_ends_at_the_sum(ax, start):
    steps = [("one", 0.25), ("two", -0.75), ("three", 0.125)]
    drawings.draw_waterfall(ax, steps, start=start, end="sum")
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    first = 0 if start is None else start[1]
    own = bars[start is not None : -1]
    assert [end - begin for begin, end in own] == [share for _, share in steps]
    assert [begin for begin, _ in own] == [first, first + 0.25, first - 0.5]  # each where the one before ends
    assert bars[-1][1] == pytest.approx(first - 0.375)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ([] if start is None else ["mean"]) + ["one", "two", "three", "sum"]
    assert ("−0.375" if start is None else "3.125") in texts(ax)
    assert "−0.750" in texts(ax)


def test_the_long_tail_falls_and_half_is_marked(ax):
    drawings.draw_long_tail(ax, np.array([1, 0, 8, 4, 2, 1]), "{n} of {share:.0%}")
    assert ax.lines[0].get_ydata().tolist() == [8, 4, 2, 1, 1]
    assert ax.lines[1].get_xydata().tolist() == [[1, 8]]
    assert texts(ax) == ["1 of 20%"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_spread_and_the_calibration_are_drawn_as_given(ax):
    quantiles = np.array([[1, 2, 3, 4, 5], [2, 3, 4, 4.5, 5]], float)
    drawings.draw_spread(ax, np.array([1.0, 5.0]), quantiles)
    whole, half = (np.array(lines.get_segments())[..., 1] for lines in ax.collections)
    assert whole.tolist() == [[1, 5], [2, 5]] and half.tolist() == [[2, 4], [3, 4.5]]
    assert ax.lines[1].get_xydata().tolist() == [[1, 3], [5, 4]]
    other = canvas.Picture().subplots()
    drawings.draw_calibration(other, np.array([2.0, 4.0]), np.array([2.5, 3.5]), np.array([0.25, 0.5]))
    assert np.array(other.collections[0].get_segments())[..., 1].tolist() == [[2.25, 2.75], [3, 4]]
    assert other.lines[1].get_xydata().tolist() == [[2, 2.5], [4, 3.5]]


def test_bars_and_histograms_are_as_high_as_the_counts(ax):
    drawings.draw_histogram(ax, np.array([0.5, 1.5, 4.5]), np.array([7, 2]))
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in ax.patches] == [(0.5, 1, 7), (1.5, 3, 2)]
    other = canvas.Picture().subplots()
    drawings.draw_bars(other, ["$a$", "b"], [3, 4], labels=["x", "y"])
    assert [bar.get_height() for bar in other.patches] == [3, 4]
    assert texts(other) == ["x", "y"]


def test_axes_of_any_shape_are_taken_and_others_refused():
    figure = canvas.Picture()
    axes = figure.subplots(2, 2)
    drawn = []
    many = {name: lambda ax, name=name: drawn.append((name, ax)) for name in "abcd"}
    assert canvas.draw(many, None, axes) is figure
    assert drawn == list(zip("abcd", axes.ravel(), strict=True))
    assert canvas.draw(many, "c", [axes[0, 0]]) is figure
    with pytest.raises(OptionError, match=r"ax gives 1 Axes; 4 Axes are needed, one for each panel: .*what="):
        canvas.draw(many, None, axes[0, 0])
    with pytest.raises(OptionError, match="not str"):
        canvas.draw(many, "a", "axes")
    own = canvas.draw({name: many[name] for name in "abc"})
    assert len(own.axes) == 3  # the spare panel of two rows is gone


def test_without_matplotlib_a_result_says_what_to_install(monkeypatch):
    import sys

    from palate.showing.pictures import check_matplotlib

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OptionError, match=r"Report.plot needs matplotlib: pip install 'palate\[plot\]'"):
        check_matplotlib("Report.plot")
