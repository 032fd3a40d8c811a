"""What all pictures share: a figure without pyplot, the axes to draw into, their style, fonts, and short names."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Figure  # for those who may not import matplotlib
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from palate.errors import OptionError

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
Drawing = Callable[[Axes], None]

# Readers with any color vision can tell these apart (Okabe & Ito); the gray can be read on white and on black.
BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#767676"
ORANGE_TO_BLUE = LinearSegmentedColormap.from_list("orange_to_blue", ["#E8935A", "#F7F4EF", "#5AA0CC"])
PLAIN_TEXT: dict[str, Any] = {"parse_math": False, "usetex": False}  # for titles and labels: a $ in them is a $
SHARP = 200  # dots per inch of files and notebooks, twice what a figure is laid out for
MAX_PIXELS = 65_000  # matplotlib draws no picture of more than 65,536 pixels to a side
MAX_INCHES = 600.0

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

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure to a file as matplotlib does, but at 200 dots per inch unless told otherwise."""
        if "dpi" not in options and rcParams["savefig.dpi"] == "figure":
            options["dpi"] = min(SHARP, MAX_PIXELS / max(self.get_size_inches()))
        super().savefig(fname, **options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The image at 200 dots per inch, and the size in which a notebook shows it."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def height_of(n_rows: int, rest: float) -> float:
    """The height in inches of a picture with n_rows rows of text and `rest` inches around them."""
    return min(max(3.0, rest + 0.225 * n_rows), MAX_INCHES)


def style_axes(ax: Axes, title: str = "", xlabel: str = "", ylabel: str = "", note: str = "") -> Axes:
    """Set the title and a note below it (at the left) and the axis labels; remove the frame at the top and right."""
    n_lines = note.count("\n") + 1 if note else 0
    ax.set_title(title, loc="left", fontsize="large", pad=6.0 + 13.0 * n_lines, **PLAIN_TEXT)
    if note:
        style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        ax.annotate(note, (0, 1), xytext=(0, 5), fontsize="small", color=GRAY, **style, **PLAIN_TEXT)
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
    _plain_ticks(ax.xaxis, *ax.get_xlim())


def log_y_axis(ax: Axes) -> None:
    """The same for the y axis."""
    ax.set_yscale("log")
    _plain_ticks(ax.yaxis, *ax.get_ylim())


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0,) if math.log10(high / low) > 2 else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:.4g}" if value < 1000 else f"{value:,.0f}")
    axis.set_minor_formatter(NullFormatter())


# ---- the axes to draw into


def draw(
    drawings: Mapping[str, Drawing], what: str | None = None, ax: Any = None, *, width: float = 5.2, height: float = 4.0
) -> Figure:
    """Draw one of some drawings (`what`), or all of them, two in a row, and return the figure.

    ax: Axes to draw into, a list of them for several drawings; None makes a figure with panels of width x height
    inches.
    """
    if what is not None and not (isinstance(what, str) and what in drawings):
        raise OptionError(f"what={what!r} is none of {', '.join(map(repr, drawings))}; leave it out to draw all.")
    chosen = list(drawings.values()) if what is None else [drawings[what]]
    if ax is None:
        axes = _panels(len(chosen), width, height)
    else:
        axes = given_axes(ax, len(chosen), list(drawings) if what is None else [])
    for drawing, one in zip(chosen, axes, strict=True):
        drawing(one)
    return finished(*axes)


def _panels(n: int, width: float, height: float) -> list[Axes]:
    if n == 1:
        return [Picture(max(width, 6.4), max(height, 4.6)).subplots()]
    n_rows = math.ceil(n / 2)
    axes: list[Axes] = Picture(2 * width, n_rows * height).subplots(n_rows, 2).ravel().tolist()
    for spare in axes[n:]:
        spare.remove()
    return axes[:n]


def one_axes(ax: Any, width: float = 8.0, height: float = 5.0) -> Axes:
    """The given axes, or those of a new picture where ax is None."""
    return Picture(width, height).subplots() if ax is None else given_axes(ax, 1)[0]


def given_axes(ax: Any, n: int, names: Sequence[str] = ()) -> list[Axes]:
    """The n matplotlib Axes that were given, alone or in a list or array; OptionError if they are others.

    names: of the drawings that what= tells apart, where there are some.
    """
    axes = [ax] if isinstance(ax, Axes) else list(np.ravel(np.array(ax, dtype=object)))
    if not all(isinstance(one, Axes) for one in axes):
        wrong = next(one for one in axes if not isinstance(one, Axes))
        raise OptionError(f"ax must be matplotlib Axes, as figure.subplots() makes them, not {type(wrong).__name__}.")
    if wrong := [one.name for one in axes if one.name != "rectilinear"]:
        raise OptionError(
            f"ax must be flat Axes, as figure.subplots() makes them, and these are of the kind {wrong[0]!r}."
        )
    if len(axes) != n:
        if n == 1:
            raise OptionError(f"ax gives {len(axes)} Axes, and this is one drawing: give one.")
        choice = f" Or name one with what=: {', '.join(map(repr, names))}." if names else ""
        raise OptionError(f"ax gives {len(axes)} Axes; {n} Axes are needed, one for each panel: give a list.{choice}")
    return axes


def finished(*axes: Axes) -> Figure:
    """The figure of some axes, with fonts chosen for all that is written in them."""
    for ax in axes:
        for text in ax.findobj(Text):
            assert isinstance(text, Text)
            choose_fonts(text)
    return figure_of(axes[0])


def figure_of(ax: Axes) -> Figure:
    """The whole figure that axes stand in, also where they stand in a subfigure."""
    figure = ax.figure
    assert figure is not None
    return figure if isinstance(figure, Figure) else figure.figure


# ---- fonts


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


# ---- names


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
