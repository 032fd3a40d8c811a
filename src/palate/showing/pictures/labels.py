"""Labels beside points: each takes a free place near its point, and no two labels overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from palate.showing.pictures.canvas import GRAY, PLAIN_TEXT, Doubles, Mask, choose_fonts, figure_of

GAP = 4.0  # pixels between a point and its label
PADDING = np.array([6.0, 0.0])  # pixels added to the width and height of a label, to keep it apart from others
# Where a label's box may lie: its anchor as a share of (width, height), and the direction it is moved from the point.
PLACES = np.array([(0, 0.5, 1, 0), (1, 0.5, -1, 0), (0.5, 0, 0, 1), (0.5, 1, 0, -1),
                   (0, 0, 0.7, 0.7), (1, 0, -0.7, 0.7), (0, 1, 0.7, -0.7), (1, 1, -0.7, -0.7)])  # fmt: skip


def label_points(
    ax: Axes,
    points: Doubles,
    names: Sequence[str],
    *,
    avoid: Doubles | None = None,
    gaps: Sequence[float] = (GAP,),
    **style: Any,
) -> list[int]:
    """Write names beside points and return the positions of those written; a name without room is left out.

    points, avoid: (n, 2) in data coordinates; labels hide as few of both as they can. gaps: distances in pixels to try,
    the nearest first. A line joins a label to its point where it does not stand right beside it.
    """
    figure = figure_of(ax)
    texts = [ax.text(0, 0, name, ha="left", va="bottom", **PLAIN_TEXT, **style) for name in names]
    for text in texts:
        text.set_in_layout(False)
        choose_fonts(text)
    figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in texts]
    sizes = np.array([(extent.width, extent.height) for extent in extents]).reshape(-1, 2) + PADDING
    pixels = ax.transData.transform(points)
    hidden = None if avoid is None else ax.transData.transform(avoid)
    boxes = label_boxes(pixels, sizes, ax.bbox.extents, avoid=hidden, gaps=gaps)
    written = np.flatnonzero(np.isfinite(boxes[:, 0])).tolist()
    to_data = ax.transData.inverted().transform
    for at, text in enumerate(texts):
        if at not in written:
            text.remove()
            continue
        x, y = to_data(boxes[at, :2] + PADDING / 2)
        text.set_position((float(x), float(y)))
        end = np.clip(pixels[at], boxes[at, :2], boxes[at, 2:])
        if np.linalg.norm(end - pixels[at]) > 2 * GAP:
            ax.plot(*to_data([pixels[at], end]).T, color=GRAY, linewidth=0.7, zorder=1)
    return written


def label_boxes(
    points: Doubles,
    sizes: Doubles,
    bounds: Sequence[float],
    *,
    avoid: Doubles | None = None,
    gaps: Sequence[float] = (GAP,),
) -> Doubles:
    """A box (x0, y0, x1, y1) for each label, (n, 4), nan where there is no room.

    points: (n, 2); sizes: (n, 2), width and height; bounds: (x0, y0, x1, y1) that no box leaves. Boxes do not overlap.
    Earlier labels choose first. Each takes the place that hides the fewest of points and avoid; of equals, the nearest.
    """
    boxes = np.full((len(points), 4), np.nan)
    hidden = points if avoid is None else np.vstack([points, avoid])
    for at, (point, size) in enumerate(zip(points, sizes, strict=True)):
        places = [box for gap in gaps for box in _boxes_around(point, size, gap)]
        free = [box for box in places if _is_inside(box, bounds) and not _overlaps(box, boxes).any()]
        if free:
            boxes[at] = min(free, key=lambda box: int(_covers(box, hidden).sum()))
    return boxes


def _boxes_around(point: Doubles, size: Doubles, gap: float) -> list[Doubles]:
    corners = point + gap * PLACES[:, 2:] - PLACES[:, :2] * size
    return list(np.hstack([corners, corners + size]))


def _is_inside(box: Doubles, bounds: Sequence[float]) -> bool:
    return bool(box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3])


def _overlaps(box: Doubles, others: Doubles) -> Mask:
    """True for each other box that shares some area with this one, (n,); nan shares nothing."""
    shares: NDArray[np.bool_] = np.all((box[:2] < others[:, 2:]) & (others[:, :2] < box[2:]), axis=1)
    return shares


def _covers(box: Doubles, points: Doubles) -> Mask:
    """True for each point within the box, (n,)."""
    inside: NDArray[np.bool_] = np.all((box[:2] <= points) & (points <= box[2:]), axis=1)
    return inside
