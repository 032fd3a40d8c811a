"""What every picture shares: figures without pyplot, names that fit, calm axes, labels that keep out of each other."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from palate.data.ratings import titles
from palate.recommender import Recommender

Doubles = NDArray[np.float64]

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"  # told apart by every kind of eye (Okabe & Ito)
ORANGE_TO_BLUE = LinearSegmentedColormap.from_list("orange_to_blue", ["#E8935A", "#F7F4EF", "#5AA0CC"])
LITERAL: dict[str, Any] = {"parse_math": False, "usetex": False}  # for names of others: a $ in them is a $

# Families with the letters that matplotlib's own font lacks; those of them that are installed are fallen back on.
WIDE_FAMILIES = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Hiragino Sans", "PingFang SC", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip


MOST_INCHES = 600.0  # matplotlib draws no picture of more than 65,536 pixels


def height_of(n_rows: int, rest: float) -> float:
    """Inches that a picture of so many rows takes, with the rest around them."""
    return min(max(3.0, rest + 0.225 * n_rows), MOST_INCHES)


class Picture(Figure):
    """A matplotlib Figure of its own, unknown to pyplot; notebooks show it all the same."""

    def __init__(self, width: float = 8.0, height: float = 5.0) -> None:
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        self.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def calm(ax: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> Axes:
    """Axes with a title at the left, labels in words and no frame beyond what is read from."""
    ax.set_title(title, loc="left", fontsize="large", **LITERAL)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize="small")
    return ax


def finished(picture: Picture) -> Picture:
    """The picture, with fonts for the letters that the usual one lacks, where the machine has such fonts."""
    for text in picture.findobj(Text):
        assert isinstance(text, Text)
        _choose_fonts(text)
    return picture


def _choose_fonts(text: Text) -> None:
    if not text.get_text().isascii():
        text.set_fontfamily(_families())


def _families() -> list[str]:
    """The font families in use, and after them the installed ones with many more letters."""
    known = set(font_manager.get_font_names())
    return [*font_manager.FontProperties().get_family(), *(name for name in WIDE_FAMILIES if name in known)]


def _can_be_drawn(letter: str) -> bool:
    return letter.isascii() or any(ord(letter) in _letters_of(name) for name in _families())


@cache
def _letters_of(family: str) -> frozenset[int]:
    file = font_manager.findfont(font_manager.FontProperties(family=[family]))
    return frozenset(font_manager.get_font(file).get_charmap())


def short(name: object, width: int = 34) -> str:
    """A name on one line, cut to `width` letters but for its year.

    What cannot be printed becomes a space, and a letter that no font here has becomes an empty box.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(name)).split())
    line = "".join(letter if _can_be_drawn(letter) else "□" for letter in line)
    if len(line) <= width:
        return line
    year = re.search(r" \(\d{4}\)$", line)
    end = year[0] if year and width >= 20 else ""
    return line[: width - 1 - len(end)].rstrip(" ,.:-(") + "…" + end


def item_names(rec: Recommender, codes: Sequence[int] | NDArray[Any], width: int = 34) -> list[str]:
    """The title of each item, or its label where it has none, shortened."""
    labels = rec.model.item_vocabulary.decode(codes).tolist()
    known = titles(rec.model.item_table)
    found = [None if known is None else known[code] for code in codes]
    return [short(title or "", width) or short(label, width) for title, label in zip(found, labels, strict=True)]


def rating_counts(rec: Recommender) -> NDArray[np.int64]:
    """Training ratings of each item, (n_items,)."""
    return np.bincount(rec.model.history.indices, minlength=rec.n_items)


def named_bars(ax: Axes, names: Sequence[str], lengths: Doubles, counts: NDArray[np.int64]) -> None:
    """Horizontal bars, the first on top: names at the left, numbers of ratings at the right; blue up, orange down."""
    places = np.arange(len(names))
    ax.barh(places, lengths, height=0.7, color=[BLUE if length >= 0 else ORANGE for length in lengths])
    ax.set_yticks(places, names, **LITERAL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.axvline(0, color=GREY, linewidth=0.8)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    edge: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "fontsize": "small", "color": GREY}
    for place, count in enumerate(counts):
        ax.text(1.08, place, f"{count:,}", va="center", **edge)
    ax.text(1.08, -0.9, "ratings", va="bottom", **edge)


# ---- labels beside points

GAP = 4.0  # pixels between a point and its label
AIR = np.array([6.0, 0.0])  # and between two labels, at least
# Where a label's box may lie from its point: its anchor as a share of (width, height), and the way it is moved.
PLACES = np.array([(0, 0.5, 1, 0), (1, 0.5, -1, 0), (0.5, 0, 0, 1), (0.5, 1, 0, -1),
                   (0, 0, 0.7, 0.7), (1, 0, -0.7, 0.7), (0, 1, 0.7, -0.7), (1, 1, -0.7, -0.7)])  # fmt: skip


def label_boxes(points: Doubles, sizes: Doubles, bounds: Sequence[float]) -> Doubles:
    """A box (x0, y0, x1, y1) for each label, nan where there is no room left: (n, 4).

    points: (n, 2); sizes: (n, 2), width and height; bounds: (x0, y0, x1, y1) that no box leaves. Boxes do not overlap;
    the first labels choose first, and each takes the place beside its point that hides the fewest points.
    """
    boxes = np.full((len(points), 4), np.nan)
    for at, (point, size) in enumerate(zip(points, sizes, strict=True)):
        free = [
            box for box in _boxes_around(point, size) if _is_inside(box, bounds) and not _overlaps(box, boxes).any()
        ]
        if free:
            boxes[at] = min(free, key=lambda box: int(_covers(box, points).sum()))
    return boxes


def _boxes_around(point: Doubles, size: Doubles) -> list[Doubles]:
    corners = point + GAP * PLACES[:, 2:] - PLACES[:, :2] * size
    return list(np.hstack([corners, corners + size]))


def _is_inside(box: Doubles, bounds: Sequence[float]) -> bool:
    return bool(box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3])


def _overlaps(box: Doubles, others: Doubles) -> NDArray[np.bool_]:
    """Which of the other boxes share some area with it, (n,); nan shares nothing."""
    shares: NDArray[np.bool_] = np.all((box[:2] < others[:, 2:]) & (others[:, :2] < box[2:]), axis=1)
    return shares


def _covers(box: Doubles, points: Doubles) -> NDArray[np.bool_]:
    hides: NDArray[np.bool_] = np.all((box[:2] <= points) & (points <= box[2:]), axis=1)
    return hides


def label_points(ax: Axes, points: Doubles, names: Sequence[str], **style: Any) -> list[int]:
    """Write names beside points (in data coordinates), leaving out those without room; the ones written."""
    figure = ax.figure
    assert isinstance(figure, Picture)
    texts = [ax.text(0, 0, name, ha="left", va="bottom", **LITERAL, **style) for name in names]
    for text in texts:
        text.set_in_layout(False)
        _choose_fonts(text)
    figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in texts]
    sizes = np.array([(extent.width, extent.height) for extent in extents]).reshape(-1, 2) + AIR
    boxes = label_boxes(ax.transData.transform(points), sizes, ax.bbox.extents)
    written = np.flatnonzero(np.isfinite(boxes[:, 0])).tolist()
    for at, text in enumerate(texts):
        if at not in written:
            text.remove()
            continue
        x, y = ax.transData.inverted().transform(boxes[at, :2] + AIR / 2)
        text.set_position((float(x), float(y)))
    return written
