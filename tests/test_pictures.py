"""The pictures of the documentation: names that can be read, and figures that are those of the tables."""

import csv
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
    yield from (panel.title, panel._left_title, panel.xaxis.label, panel.yaxis.label, *panel.texts)
    yield from () if panel.get_legend() is None else panel.get_legend().get_texts()
    for axis in (panel.xaxis, panel.yaxis):
        low, high = sorted(axis.get_view_interval())
        yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def boxes_in(figure):
    """What is written in a chart with the box around it, and the frame of the whole."""
    figure.draw_without_rendering()
    written = [text for panel in figure.axes for text in texts_of(panel) if text.get_text()]
    return {f"{n} {text.get_text()}": text.get_window_extent() for n, text in enumerate(written)}, figure.bbox


@pytest.fixture(scope="module")
def texts():
    """The texts of the chart of errors and seconds."""
    with mpl.rc_context(picture.STYLE):
        return boxes_in(picture.figure_of(picture.read(picture.POINTS), picture.read(picture.PEERS)))


def overlapping(boxes):
    return [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]


def test_no_name_in_the_chart_covers_another(texts):
    boxes, _ = texts
    assert len(boxes) > 40
    assert overlapping(boxes) == []


def other_charts():
    """The charts that are drawn from figures that are kept, by name."""
    growth, cluster, everywhere = (
        module_at(ROOT / "benchmarks" / f"{name}.py") for name in ("growth", "cluster_model", "everywhere")
    )
    with (ROOT / "docs" / "cluster.csv").open(newline="", encoding="utf-8") as lines:
        rows = [tuple(map(float, row)) for row in list(csv.reader(lines))[1:]]
    yield "growth", growth.figure_of(growth.read(growth.FIGURES))
    yield "cluster", cluster.figure_of(rows)
    yield "everywhere", everywhere.picture_of(everywhere.read_measured())


def test_no_text_of_the_other_charts_covers_another_or_leaves(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    with mpl.rc_context(picture.STYLE):
        for name, figure in other_charts():
            boxes, frame = boxes_in(figure)
            assert len(boxes) > 8
            assert overlapping(boxes) == [], name
            assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
                       for box in boxes.values()), name  # fmt: skip


@pytest.mark.parametrize("name", ["docs/error-against-seconds.svg", "docs/growth.svg", "docs/cluster.svg",
                                  "docs/questions.svg", "benchmarks/everywhere.svg"])  # fmt: skip
def test_charts_are_white_behind_also_where_a_page_is_dark(name):
    drawn = (ROOT / name).read_text(encoding="utf-8")
    background = drawn[drawn.index('id="patch_1"') :].split("/>", 1)[0]
    assert "fill: #ffffff" in background


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
        [picture.COLORS[row["recipe"]].lower() for row in points]
        + [picture.MUTED[row["library"].split()[0]].lower() for row in peers]
    )
