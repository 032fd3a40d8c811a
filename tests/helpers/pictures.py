"""For tests of pictures: recommenders with given factors, and what can be read in a figure."""

import numpy as np

import palate
from palate.models.factors import Factors, Prior
from palate.recommender import Recommender


def text_class():
    from matplotlib.text import Text  # only tests that have matplotlib come here

    return Text


def with_factors(factors, biases=None, counts=None, table=None, labels=None):
    """A recommender with the given item factors (n, k), its items rated so many times (all by everybody when None)."""
    factors = np.asarray(factors, np.float32)
    n, k = factors.shape
    counts = np.full(n, 3) if counts is None else np.asarray(counts)
    n_users = max(1, int(counts.max(initial=1)))
    users = np.concatenate([np.arange(count) for count in counts]).astype(np.int32)
    ratings = palate.Ratings(
        users,
        np.repeat(np.arange(n, dtype=np.int32), counts),
        1.0 + users % 5,
        user_vocabulary=palate.Vocabulary(range(n_users)),
        item_vocabulary=palate.Vocabulary.in_order([f"i{at}" for at in range(n)] if labels is None else labels),
        item_table=table,
    )
    biases = np.linspace(-1, 1, n) if biases is None else np.asarray(biases)
    items = np.column_stack([factors, biases]).astype(np.float32)
    prior = Prior(np.eye(k + 1, dtype=np.float32), np.zeros(k + 1, np.float32))
    learned = Factors(3.0, np.ones((n_users, k + 1), np.float32), items, prior, prior)
    return Recommender.from_training(ratings, factors=learned, noise=1.0)


def random_factors(n=40, k=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, k)) * np.arange(1, k + 1)


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def ticks(figure, axis="y", at=0):
    figure.canvas.draw()
    return [label.get_text() for label in getattr(figure.axes[at], f"get_{axis}ticklabels")()]


def words(figure):
    return [text.get_text() for text in figure.findobj(text_class()) if text.get_text()]


def title(figure, at=0):
    return figure.axes[at].get_title(loc="left")


def assert_legible(figure):
    """Something is drawn, no text leaves the picture, and tick labels of an axis keep out of each other."""
    image = pixels(figure)
    height, width = image.shape[:2]
    assert 600 <= width <= 1600 and 300 <= height <= 900
    background = image[0, 0]
    assert 0.005 < (image != background).any(axis=2).mean() < 0.9
    hidden = {id(label) for axis in axes_of(figure) for label in set(all_labels(axis)) - set(drawn_labels(axis))}
    for text in figure.findobj(text_class()):
        if text.get_text() and id(text) not in hidden:
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()
    for axis in axes_of(figure):
        across = 0 if axis.axis_name == "x" else 1
        ends = [label.get_window_extent().get_points()[:, across] for label in drawn_labels(axis)]
        ends = np.array(sorted(ends, key=lambda pair: pair[0])).reshape(-1, 2)
        assert (ends[1:, 0] >= ends[:-1, 1] - 2).all(), [label.get_text() for label in drawn_labels(axis)]


def axes_of(figure):
    return [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]


def all_labels(axis):
    return axis.get_ticklabels() + axis.get_ticklabels(minor=True)


def drawn_labels(axis):
    """The labels of ticks within the axis; matplotlib keeps some beyond its ends and does not draw them."""
    if not axis.axes.axison:
        return []
    low, high = sorted(axis.get_view_interval())
    places = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=False)  # a shared axis may have none
    return [label for place, label in places if low <= place <= high and label.get_text() and label.get_visible()]


def boxes_meet(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def lines(figure, at=0):
    return {line.get_label(): np.array(line.get_data()) for line in figure.axes[at].lines}
