"""The pictures of the documentation: names that can be read, and figures that are those of the tables."""

import itertools
import re
from collections import Counter

import pytest

from helpers.scripts import ROOT, module_at

pytest.importorskip("matplotlib")
import matplotlib as mpl

picture = module_at(ROOT / "benchmarks" / "picture.py")


def texts_of(panel):
    """All that is written in a panel: title, names of axes and curves, numbers of the ticks in view."""
    yield from (panel.title, panel.xaxis.label, panel.yaxis.label, *panel.texts)
    for axis in (panel.xaxis, panel.yaxis):
        low, high = sorted(axis.get_view_interval())
        yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


@pytest.fixture(scope="module")
def texts():
    """What is written in the chart of errors and seconds with the box around it, and the frame of the whole."""
    with mpl.rc_context(picture.STYLE):
        figure = picture.figure_of(picture.read(picture.POINTS), picture.read(picture.PEERS))
        figure.draw_without_rendering()
        written = [text for panel in figure.axes for text in texts_of(panel) if text.get_text()]
        return {f"{n} {text.get_text()}": text.get_window_extent() for n, text in enumerate(written)}, figure.bbox


def test_no_name_in_the_chart_covers_another(texts):
    boxes, _ = texts
    assert len(boxes) > 40
    assert [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])] == []


def test_no_name_leaves_the_chart(texts):
    boxes, frame = texts
    assert [name for name, box in boxes.items() if not picture.inside(box, frame)] == []


def test_every_curve_of_the_chart_has_its_name(texts):
    names = {name.partition(" ")[2] for name in texts[0]}
    assert {picture.series(row) for row in picture.read(picture.PEERS)} <= names
    assert {f"palate {row['recipe']}" for row in picture.read(picture.POINTS)} <= names


def test_a_chart_without_room_for_a_name_says_so():
    panel = picture.figure_of([], []).axes[1]
    with pytest.raises(ValueError, match="No room for the name 'Spark Spark"):
        picture.name_curves(panel, {}, {"Spark " * 40: [(1.0, 0.85)]})


def test_the_chart_in_the_documentation_shows_these_points():
    drawn = picture.PICTURE.read_text(encoding="utf-8")
    shown = Counter(re.findall(r'<use [^>]*style="fill: (#\w+)', drawn))
    points, peers = picture.read(picture.POINTS), picture.read(picture.PEERS)
    assert shown == Counter(
        [picture.COLORS[row["recipe"]] for row in points] + [picture.MUTED[row["library"].split()[0]] for row in peers]
    )
