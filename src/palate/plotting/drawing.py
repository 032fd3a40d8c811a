"""What all pictures share: a figure without pyplot, the style of axes, bars, and names short enough to print."""

from __future__ import annotations

import io
import math
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
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from palate.data.titles import titles
from palate.recommender import Recommender

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "#8C8C8C"  # readers with any color vision can tell them apart (Okabe & Ito)
ORANGE_TO_BLUE = LinearSegmentedColormap.from_list("orange_to_blue", ["#E8935A", "#F7F4EF", "#5AA0CC"])
PLAIN_TEXT: dict[str, Any] = {"parse_math": False, "usetex": False}  # for titles and labels: a $ in them is a $
MAX_INCHES = 600.0  # matplotlib draws no picture of more than 65,536 pixels

# Font families with letters that matplotlib's own font lacks. Those that are installed serve as fallbacks.
WIDE_FAMILIES = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Hiragino Sans", "PingFang SC", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip


# ---- figures and axes


class Picture(Figure):
    """A matplotlib Figure that pyplot does not know. Notebooks still show it."""

    def __init__(self, width: float = 8.0, height: float = 5.0) -> None:
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        self.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def height_of(n_rows: int, rest: float) -> float:
    """The height in inches of a picture with n_rows rows of text and `rest` inches around them."""
    return min(max(3.0, rest + 0.225 * n_rows), MAX_INCHES)


def style_axes(ax: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> Axes:
    """Set the title (at the left) and the axis labels; remove the frame at the top and at the right."""
    ax.set_title(title, loc="left", fontsize="large", **PLAIN_TEXT)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize="small")
    return ax


def add_grid(ax: Axes, **options: Any) -> None:
    """Draw a light grid behind the data."""
    ax.grid(color=GRAY, alpha=0.2, linewidth=0.6, **options)
    ax.set_axisbelow(True)


def log_x_axis(ax: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers at its ticks. Call it after the data is drawn."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if math.log10(high / low) > 2 else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def bar_chart(ax: Axes, names: Sequence[str], lengths: Doubles, counts: NDArray[np.int64]) -> None:
    """Draw horizontal bars, the first on top, blue for positive and orange for negative lengths.

    Names stand at the left, numbers of ratings at the right.
    """
    rows = np.arange(len(names))
    ax.barh(rows, lengths, height=0.7, color=[BLUE if length >= 0 else ORANGE for length in lengths])
    ax.set_yticks(rows, names, **PLAIN_TEXT)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.axvline(0, color=GRAY, linewidth=0.8)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    add_grid(ax, axis="x")
    style: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "fontsize": "small", "color": GRAY}
    for row, count in enumerate(counts):
        ax.text(1.08, row, f"{count:,}", va="center", **style)
    ax.text(1.08, -0.9, "ratings", va="bottom", **style)


# ---- fonts


def with_fonts(picture: Picture) -> Picture:
    """The same picture, its non-ASCII texts set in installed fonts that have their letters."""
    for text in picture.findobj(Text):
        assert isinstance(text, Text)
        choose_fonts(text)
    return picture


def choose_fonts(text: Text) -> None:
    """Set fallback fonts for a text that is not plain ASCII."""
    if not text.get_text().isascii():
        text.set_fontfamily(_families())


def _families() -> list[str]:
    """The font families in use, then the installed ones of WIDE_FAMILIES."""
    installed = set(font_manager.get_font_names())
    return [*font_manager.FontProperties().get_family(), *(name for name in WIDE_FAMILIES if name in installed)]


def _can_be_drawn(letter: str) -> bool:
    return letter.isascii() or any(ord(letter) in _letters_of(name) for name in _families())


@cache
def _letters_of(family: str) -> frozenset[int]:
    file = font_manager.findfont(font_manager.FontProperties(family=[family]))
    return frozenset(font_manager.get_font(file).get_charmap())


# ---- names of items and recipes


def shorten(name: object, width: int = 34) -> str:
    """The name on one line, cut to `width` letters; a year in brackets at its end is kept.

    Unprintable letters become spaces. A letter that no installed font has becomes an empty box.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(name)).split())
    line = "".join(letter if _can_be_drawn(letter) else "□" for letter in line)
    if len(line) <= width:
        return line
    year = re.search(r" \(\d{4}\)$", line)
    end = year[0] if year and width >= 20 else ""
    return line[: width - 1 - len(end)].rstrip(" ,.:-(") + "…" + end


def item_names(rec: Recommender, codes: Sequence[int] | NDArray[Any], width: int = 34) -> list[str]:
    """The shortened title of each item, or its label where it has no title."""
    labels = rec.model.item_vocabulary.decode(codes).tolist()
    all_titles = titles(rec.model.item_table)
    own_titles = [None if all_titles is None else all_titles[code] for code in codes]
    pairs = zip(own_titles, labels, strict=True)
    return [shorten(title or "", width) or shorten(label, width) for title, label in pairs]


def recipe_name(rec: Recommender) -> str:
    """The name of the recipe that trained the model, for error messages."""
    return str(rec.model.recipe.get("name", "this model"))


# ---- numbers of ratings


def rating_counts(rec: Recommender) -> NDArray[np.int64]:
    """Training ratings of each item, (n_items,)."""
    return np.bincount(rec.model.history.indices, minlength=rec.n_items)
