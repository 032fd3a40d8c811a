"""Labels beside points keep apart and stay inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import boxes_meet

pytest.importorskip("matplotlib")
from palate.showing.pictures import canvas as drawing
from palate.showing.pictures import labels

points_in_a_square = st.lists(st.tuples(st.floats(0, 400), st.floats(0, 400)), min_size=1, max_size=30)


@given(points_in_a_square, st.floats(1, 120), st.floats(1, 20))
@settings(deadline=None)
def test_labels_keep_apart_inside_and_beside_their_points(points, width, height):
    points = np.array(points)
    boxes = labels.label_boxes(points, np.tile([width, height], (len(points), 1)), (0, 0, 400, 400))
    written = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    assert 0 in written or width > 190  # the first has the whole square
    for at in written:
        box = boxes[at]
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= 400 and box[3] <= 400
        assert (box[2:] - box[:2]) == pytest.approx((width, height))
        nearest = np.clip(points[at], box[:2], box[2:])
        assert np.linalg.norm(nearest - points[at]) == pytest.approx(labels.GAP, rel=0.02)
        assert not any(boxes_meet(box, boxes[other]) for other in written if other != at)


def test_a_label_hides_as_few_points_as_it_can():
    points = np.array([[200.0, 200.0], [230.0, 200.0], [170.0, 200.0], [200.0, 210.0]])
    box = labels.label_boxes(points, np.tile([60.0, 10.0], (4, 1)), (0, 0, 400, 400))[0]
    assert box[3] == 200 - labels.GAP  # right, left and above there are points


def test_a_label_moves_away_from_what_it_would_hide():
    point, size, bounds = np.array([[200.0, 200.0]]), np.array([[60.0, 10.0]]), (0, 0, 400, 400)
    wall = np.array([[x, y] for x in np.linspace(120, 280, 30) for y in np.linspace(185, 215, 12)])
    near = labels.label_boxes(point, size, bounds, avoid=wall)[0]
    far = labels.label_boxes(point, size, bounds, avoid=wall, gaps=(labels.GAP, 20.0, 40.0))[0]
    assert near[1] < 215 and near[3] > 185
    assert far[1] == 200 + 20 and far[0] == 170  # above the wall, as near as it can


def test_a_line_joins_a_label_to_a_point_it_cannot_stand_beside():
    ax = drawing.Picture().subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    wall = np.column_stack([np.full(50, 0.5), np.linspace(0.4, 0.6, 50)])
    row, shift = np.column_stack([np.linspace(0.4, 0.6, 50), np.full(50, 0.5)]), np.array([0, 0.02])
    avoid = np.vstack([wall, row, row + shift, row - shift])
    assert labels.label_points(ax, np.array([[0.5, 0.5]]), ["far"], avoid=avoid, gaps=(labels.GAP, 30.0)) == [0]
    assert len(ax.lines) == 1
    assert labels.label_points(ax, np.array([[0.1, 0.1]]), ["near"]) == [0]
    assert len(ax.lines) == 1
