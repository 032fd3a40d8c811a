"""Pictures: what they show, that it is legible, that numbers behind them are right, and that they leave no trace."""

import datetime
import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import palate
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.models.factors import Factors, Prior
from palate.recommender import Recommender

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.text import Text  # noqa: E402

from palate import plotting  # noqa: E402
from palate.plotting import drawing, labels, predictions  # noqa: E402


@pytest.fixture(scope="module")
def parts():
    """A Bayes fit on train, its sweeps, and what it was tested on."""
    train, test = palate.split_random(palate.datasets.synthetic(150, 80, 6000, seed=1), test=0.2, seed=0)
    sweeps = []
    rec = palate.Bayes(n_factors=3, n_sweeps=30).fit(train, test, callback=sweeps.append)
    comparison = palate.compare(train, test, ["Mean", "Bias", "ALS"], progress=False)
    tuning = palate.tune(palate.ALS(), train, trials=4, progress=False)
    return SimpleNamespace(train=train, test=test, rec=rec, sweeps=sweeps, comparison=comparison, tuning=tuning)


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
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def title(figure, at=0):
    return figure.axes[at].get_title(loc="left")


RECORDS = [{"epoch": e, "train_loss": 1 / e, "valid_loss": 1 + (e - 3) ** 2} for e in range(1, 7)]
SWEEP = [(0.0, 0.3, 1.2, 90.0), (1e-3, 0.4, 1.0, 60.0), (1e-2, 0.6, 0.9, 40.0), (0.1, 0.9, 0.95, 9.0)]
PICTURES = {
    "item_biases": lambda it: plotting.item_biases(it.rec, n=8),
    "factor_map": lambda it: plotting.factor_map(it.rec),
    "neighbors": lambda it: plotting.neighbors(it.rec, "i3"),
    "training_curves": lambda it: plotting.training_curves(it.sweeps),
    "lr_finder": lambda _: plotting.lr_finder([1e-4, 1e-3, 1e-2, 1e-1], [1.3, 1.2, 0.9, 40.0], 4e-3),
    "weight_decay_sweep": lambda _: plotting.weight_decay_sweep(SWEEP),
    "calibration": lambda it: plotting.calibration(it.rec, it.test),
    "rating_tab": lambda it: plotting.rating_tab(it.rec),
    "compared": lambda it: plotting.compared(it.comparison),
    "tuned": lambda it: plotting.tuned(it.tuning),
}
each_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


# ---- every picture


def assert_legible(figure):
    """Something is drawn, no text leaves the picture, and tick labels of an axis keep out of each other."""
    image = pixels(figure)
    height, width = image.shape[:2]
    assert 600 <= width <= 1600 and 300 <= height <= 900
    background = image[0, 0]
    assert 0.005 < (image != background).any(axis=2).mean() < 0.9
    hidden = {id(label) for axis in axes_of(figure) for label in set(all_labels(axis)) - set(drawn_labels(axis))}
    for text in figure.findobj(Text):
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


@each_picture
def test_it_is_a_figure_that_can_be_read(draw, parts):
    figure = draw(parts)
    assert isinstance(figure, matplotlib.figure.Figure)
    assert figure.dpi == 100
    assert figure.axes[0].get_title(loc="left")
    assert_legible(figure)


@each_picture
def test_it_leaves_no_trace(draw, parts):
    before, backend = dict(matplotlib.rcParams), matplotlib.rcParams._get_backend_or_none()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    draw(parts)
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.rcParams._get_backend_or_none() == backend
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@each_picture
def test_the_same_picture_comes_out_twice(draw, parts):
    np.testing.assert_array_equal(pixels(draw(parts)), pixels(draw(parts)))


@each_picture
def test_notebooks_and_files_show_it(draw, parts, tmp_path):
    figure = draw(parts)
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size > 1000


@each_picture
def test_a_dark_style_of_the_user_is_followed(draw, parts):
    with matplotlib.rc_context(DARK):
        figure = draw(parts)
        image = pixels(figure)
    assert image[0, 0].max() == 0
    heading = figure.axes[0].title if figure.axes[0].title.get_text() else figure.axes[0]._left_title
    assert matplotlib.colors.to_rgb(heading.get_color()) == (1, 1, 1)


WHITE = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
DARK = {f"{name}.facecolor": "black" for name in ("figure", "axes", "savefig")} | dict.fromkeys(WHITE, "white")


def run(source):
    return subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False)


def test_without_matplotlib_one_sentence_says_what_to_install():
    for name in ("palate.plotting.item_biases", "palate.plotting.compared"):
        done = run(f"import sys; sys.modules['matplotlib'] = None; import palate; {name}")
        last = done.stderr.strip().splitlines()[-1]
        assert last == "ImportError: palate.plotting needs matplotlib: pip install 'palate[plot]'."
        assert "During handling" not in done.stderr


def test_pyplot_and_torch_are_never_loaded():
    done = run("""
import sys, palate, palate.plotting as p
train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
rec = palate.Bayes(n_sweeps=5).fit(train)
for figure in (p.item_biases(rec), p.factor_map(rec), p.neighbors(rec, "i2"), p.calibration(rec, test),
               p.rating_tab(rec), p.lr_finder([0.1, 1], [1, 2]), p.weight_decay_sweep([(0, 1, 1, 1), (1, 1, 1, 1)])):
    figure._repr_png_()
print([name for name in ("matplotlib.pyplot", "torch", "pandas", "tkinter") if name in sys.modules])""")
    assert done.stdout.strip() == "[]", done.stderr


# ---- names of all kinds


NAMES = ["$x^{2$", "costs $5 or $6", r"a\$b$c", r"\frac{", "under_score & 100% #1 ~", "two\nlines\tand\x00a tab", "",
         "Amélie (2001)", "千と千尋の神隠し (2001)", "Ночной дозор", "🎬🎬", "x" * 300, "שלום", "a" + "\u0301" * 5,
         "\ud800", "<b>&amp;</b>", "{}", "%s", "{0}",
         "Lord of the Rings: The Return of the King, The (2003)"]  # fmt: skip


def named(names=NAMES):
    n = len(names)
    return with_factors(
        random_factors(n), table=pl.DataFrame({"title": [name.replace("\ud800", "?") for name in names]})
    )


def test_strange_titles_are_drawn_as_they_are():
    rec = named()
    for figure in (plotting.item_biases(rec, n=50), plotting.factor_map(rec), plotting.neighbors(rec, "i0", n=50)):
        assert_legible(figure)
    found = ticks(plotting.item_biases(rec, n=50))[::-1]  # the lowest bias is the first name's
    assert found[:6] == [*NAMES[:5], "two lines and a tab"]
    assert found[6] == "i6"  # no title: its label
    assert found[7] == "Amélie (2001)"
    assert found[11] == "x" * 33 + "…"
    assert found[-1] == "Lord of the Rings: The Ret… (2003)"
    assert title(plotting.neighbors(rec, "i1")) == "Nearest to costs $5 or $6"


def test_strange_labels_are_drawn_as_they_are(parts):
    labels = [name for name in NAMES if name]
    rec = with_factors(random_factors(len(labels)), labels=labels)
    for figure in (plotting.item_biases(rec), plotting.factor_map(rec), plotting.rating_tab(rec)):
        assert_legible(figure)
    assert "$x^{2$" in words(plotting.factor_map(rec))


def test_latex_of_the_user_does_not_touch_names():
    with matplotlib.rc_context({"text.usetex": True}):
        figure = plotting.item_biases(named())
    names = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert names and not any(label.get_usetex() or label.get_parse_math() for label in names)


@given(st.text(max_size=80), st.integers(8, 60))
@settings(deadline=None, max_examples=60)
def test_short_names_fit_and_keep_what_they_can(name, width):
    cut = drawing.shorten(name, width)
    assert len(cut) <= width
    assert cut.isprintable() and cut == " ".join(cut.split())
    if name.isascii() and name.isprintable() and len(name) <= width:
        assert cut == " ".join(name.split())
    assert all(drawing._can_be_drawn(letter) for letter in cut)


def test_short_keeps_the_year():
    assert drawing.shorten("Independence Day (ID4) (1996)", 26) == "Independence Day… (1996)"
    assert drawing.shorten("Independence Day (ID4) (1996)", 12) == "Independenc…"
    assert drawing.shorten("Independence Day (ID4) (1996)", 29) == "Independence Day (ID4) (1996)"


def test_letters_without_a_font_become_boxes(monkeypatch):
    monkeypatch.setattr(drawing, "WIDE_FAMILIES", ())
    assert drawing.shorten("千 and é") == "□ and é"
    monkeypatch.setattr(drawing, "_letters_of", lambda _: {ord("千")})
    assert drawing.shorten("千 and é") == "千 and □"


# ---- biases


def test_biases_are_shown_best_first(parts):
    rec = parts.rec
    figure = plotting.item_biases(rec, n=6)
    labels, order = np.array(list(rec.model.item_vocabulary)), np.argsort(-rec.item_bias)
    assert ticks(figure) == [*labels[order[:6]], *labels[order[-6:]]]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths, rec.item_bias[[*order[:6], *order[-6:]]])
    top = figure.axes[0].patches[0].get_window_extent()
    assert top.y0 > figure.axes[0].patches[-1].get_window_extent().y1  # the best is above
    counts = np.bincount(rec.model.history.indices)
    assert str(counts[order[0]]) in words(figure)


def test_rarely_rated_items_can_be_left_out():
    rec = with_factors(random_factors(6), biases=[5, 4, 3, -3, -4, -5], counts=[1, 9, 9, 9, 9, 1])
    assert ticks(plotting.item_biases(rec, n=1)) == ["i0", "i5"]
    figure = plotting.item_biases(rec, n=1, min_ratings=2)
    assert ticks(figure) == ["i1", "i4"]
    assert title(figure) == "Best and worst of 4 items with 2 ratings or more"
    with pytest.raises(OptionError, match="min_ratings=10: no item has that many ratings; the most rated has 9"):
        plotting.item_biases(rec, min_ratings=10)


def test_color_says_better_or_worse():
    figure = plotting.item_biases(with_factors(random_factors(3), biases=[1.0, -1.0, 2.0]))
    blue, orange = (matplotlib.colors.to_rgba(color) for color in (drawing.BLUE, drawing.ORANGE))
    assert [bar.get_facecolor() for bar in figure.axes[0].patches] == [blue, blue, orange]


def test_biases_before_a_sigmoid_are_called_so():
    rec = with_factors(random_factors(5))
    model = replace(rec.model, factors=replace(rec.model.factors, y_range=(0.0, 5.5)))
    assert plotting.item_biases(rec).axes[0].get_xlabel() == "item bias: above or below the mean"
    label = plotting.item_biases(Recommender(model)).axes[0].get_xlabel()
    assert label == "item bias: above or below the mean, before the sigmoid"


def test_models_without_biases_say_so(parts):
    with pytest.raises(OptionError, match="Mean has no item biases"):
        plotting.item_biases(palate.Mean().fit(parts.train))
    popular = plotting.item_biases(palate.Popularity().fit(parts.train))
    assert popular.axes[0].get_xlabel() == "item bias: its part in the ranking score"
    assert_legible(popular)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_n_is_a_whole_number(n, parts):
    rec = parts.rec
    for draw in (plotting.item_biases, plotting.factor_map, lambda rec, n: plotting.neighbors(rec, "i1", n)):
        with pytest.raises(OptionError, match="n must be a whole number, 1 or more"):
            draw(rec, n)


def test_very_many_rows_still_make_a_picture():
    rec = with_factors(random_factors(200, 2))
    assert len(pixels(plotting.item_biases(rec, n=100))) > 4000
    assert drawing.height_of(10**9, 1.0) * 100 < 2**16


# ---- small and broken models


@pytest.mark.parametrize("n_items", [1, 2, 3])
def test_a_few_items_are_enough(n_items):
    rec = with_factors(random_factors(n_items, 3), biases=[0.5, -0.5, 0.1][:n_items])
    for figure in (plotting.item_biases(rec), plotting.factor_map(rec), plotting.neighbors(rec, "i0"),
                   plotting.rating_tab(rec)):  # fmt: skip
        assert_legible(figure)
    assert plotting.principal_axes(rec).coordinates.shape == (n_items, 2)


def test_one_item_has_no_neighbors():
    assert "There are no other items to compare with." in words(plotting.neighbors(with_factors([[1.0, 2.0]]), "i0"))


def test_fits_on_one_item_can_be_looked_at():
    ratings = palate.read({"user": ["ann", "bob", "eve"], "item": ["tea"] * 3, "rating": [5, 3, 4]})
    rec = palate.Bayes(n_sweeps=5).fit(ratings)
    for figure in (plotting.factor_map(rec), plotting.neighbors(rec, "tea"), plotting.rating_tab(rec),
                   plotting.calibration(rec, ratings)):  # fmt: skip
        assert_legible(figure)


def test_without_factors_there_is_no_space_and_it_says_so(parts):
    for recipe in (palate.Bias(), palate.Popularity()):
        rec = recipe.fit(parts.train)
        with pytest.raises(OptionError, match=f"{type(recipe).__name__} has no factors"):
            plotting.factor_map(rec)
        with pytest.raises(OptionError, match="has no factors"):
            plotting.neighbors(rec, "i1")


def test_with_one_factor_the_bias_is_the_other_axis():
    rec = with_factors(random_factors(30, 1))
    figure = plotting.factor_map(rec)
    assert figure.axes[0].get_ylabel() == "item bias"
    np.testing.assert_allclose(figure.axes[0].collections[1].get_offsets()[:, 1], rec.item_bias, rtol=1e-6)
    assert_legible(figure)


def test_nan_is_left_out():
    factors = random_factors(30)
    factors[4] = np.nan
    biases = np.linspace(-1, 1, 30)
    biases[29] = np.nan
    rec = with_factors(factors, biases)
    assert ticks(plotting.item_biases(rec, n=3))[0] == "i28"
    axes = plotting.principal_axes(rec)
    assert not axes.fitted[4] and np.isfinite(np.delete(axes.coordinates, 4, axis=0)).all()
    figure = plotting.factor_map(rec)
    assert "i4" not in words(figure)
    assert_legible(figure)
    broken = with_factors(np.full((5, 3), np.nan), np.full(5, np.nan))
    for draw in (plotting.item_biases, plotting.factor_map):
        with pytest.raises(DataError, match="this model is broken"):
            draw(broken)


# ---- principal axes


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_axes_are_the_singular_vectors(n, k, seed):
    rec = with_factors(random_factors(n, k, seed))
    axes = plotting.principal_axes(rec, n_axes=k)
    F = rec.item_factors.astype(np.float64)
    U, S, _ = np.linalg.svd(F - F.mean(axis=0), full_matrices=False)
    shown = axes.coordinates.shape[1]
    assert shown == k
    np.testing.assert_allclose(np.abs(axes.coordinates[:, : len(S)]), np.abs(U * S), atol=1e-6 * max(S[0], 1))
    np.testing.assert_allclose(axes.explained[: len(S)], S**2 / np.sum(S**2), atol=1e-9)
    assert (np.diff(axes.explained) <= 1e-12).all() and axes.explained.sum() == pytest.approx(1)


def test_axes_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rec = with_factors(random_factors(60, 5, seed=3), counts=[5] * 40 + [1] * 20)
    axes = plotting.principal_axes(rec, n_axes=3, min_ratings=2)
    pca = decomposition.PCA(n_components=3).fit(rec.item_factors[:40].astype(np.float64))
    np.testing.assert_allclose(np.abs(axes.coordinates), np.abs(pca.transform(rec.item_factors)), atol=1e-5)
    np.testing.assert_allclose(axes.explained, pca.explained_variance_ratio_, rtol=1e-6)
    assert axes.fitted.tolist() == [True] * 40 + [False] * 20


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_a_turn_of_the_factors_changes_nothing_but_signs(seed):
    rng = np.random.default_rng(seed)
    factors = random_factors(25, 4, seed)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    one, other = (plotting.principal_axes(with_factors(f + 7)) for f in (factors, factors @ turn))
    np.testing.assert_allclose(np.abs(one.coordinates), np.abs(other.coordinates), atol=1e-3)
    np.testing.assert_allclose(one.explained, other.explained, atol=1e-5)


def test_extremes_are_the_outermost_of_the_fitted():
    factors = np.zeros((8, 2))
    factors[:, 0] = [9, 1, 2, 3, 4, 5, 6, -9]
    rec = with_factors(factors, counts=[1, 5, 5, 5, 5, 5, 5, 1])
    axes = plotting.principal_axes(rec, min_ratings=5)
    assert axes.extremes[0] == ([1, 2, 3], [6, 5, 4])
    assert axes.explained.tolist() == [1.0, 0.0]
    assert (axes.coordinates[:, 1] == 0).all()
    assert axes.correlations[1] == {}


def test_how_many_ratings_make_an_item_well_rated():
    many = plotting.principal_axes(with_factors(random_factors(10), counts=[19] * 4 + [20] * 3 + [30] * 3))
    assert many.fitted.tolist() == [False] * 4 + [True] * 6
    few = plotting.principal_axes(with_factors(random_factors(10), counts=[0] * 4 + [2] * 3 + [3] * 3))
    assert few.fitted.tolist() == [False] * 4 + [True] * 6  # at least the median, 2
    with pytest.raises(OptionError, match="min_ratings=4"):
        plotting.principal_axes(with_factors(random_factors(3)), min_ratings=4)
    with pytest.raises(OptionError, match="n_axes"):
        plotting.principal_axes(with_factors(random_factors(3)), n_axes=0)


def test_the_answer_cannot_be_changed(parts):
    with pytest.raises(AttributeError):
        plotting.principal_axes(parts.rec).explained = None


# ---- what axes have to do with what is known


def planted(n=60, seed=0):
    """Items whose first axis is a genre and whose second is the year."""
    rng = np.random.default_rng(seed)
    horror, drama, year = rng.random(n) < 0.4, rng.random(n) < 0.5, rng.integers(1950, 2000, n)
    factors = rng.standard_normal((n, 4)) * 0.05
    factors[:, 0] += 5 * horror
    factors[:, 1] += (year - 1975) / 20
    genres = ["|".join(["Horror"] * int(h) + ["Drama"] * int(d)) for h, d in zip(horror, drama, strict=True)]
    return factors, horror, year, genres


def test_axes_are_named_by_what_was_planted():
    factors, horror, year, genres = planted()
    names = [f"Film {at} ({when})" for at, when in enumerate(year)]
    rec = with_factors(factors, table=pl.DataFrame({"movie title": names, "genres": genres}))
    first, second = plotting.principal_axes(rec).correlations
    assert next(iter(first)) == "Horror" and abs(first["Horror"]) > 0.98
    assert next(iter(second)) == "year" and abs(second["year"]) > 0.98
    assert abs(first["Horror"]) == pytest.approx(abs(np.corrcoef(factors[:, 0], horror)[0, 1]), abs=0.01)
    assert not any(name.startswith("Film") for name in first)  # titles are no category
    figure = plotting.factor_map(rec)
    assert figure.axes[0].get_xlabel().startswith("axis 1: ")
    assert f"correlation with Horror {first['Horror']:+.2f}".replace("-", "−") in figure.axes[0].get_xlabel()
    assert f"correlation with year {second['year']:+.2f}".replace("-", "−") in figure.axes[0].get_ylabel()


def test_metadata_of_every_kind():
    factors, horror, year, _ = planted()
    table = pl.DataFrame(
        {
            "Horror flag": horror,
            "Release Year": pl.Series([None, *year[1:].tolist()], dtype=pl.Int64),
            "tags": [["scary"] if h else [None, "mild"] for h in horror],
            "released": [datetime.date(when, 1, 1) for when in year],
            "constant": [3.0] * 60,
            "unknown": pl.Series([None] * 60, dtype=pl.Float64),
            "nothing": pl.Series([None] * 60, dtype=pl.String),
            "infinite": [float("inf")] * 60,
            "huge": (1e300 * horror).tolist(),
            "movie_id": np.arange(60),
            "movieId": np.arange(60),
            "paid": horror.astype(int),
            "title": [f"Film ({when})" for when in year],
        }
    )
    rec = with_factors(factors, table=table)
    first, second = plotting.principal_axes(rec).correlations
    # neither what does not vary (as the number of ratings does not here) nor what only identifies
    assert set(first) == {"Horror flag", "Release Year", "released", "scary", "mild", "huge", "paid"}
    assert second["released"] == pytest.approx(np.corrcoef(factors[:, 1], year)[0, 1], abs=0.01)
    assert first["scary"] == pytest.approx(-first["mild"]) and first["scary"] == pytest.approx(first["Horror flag"])
    assert first["huge"] == pytest.approx(first["paid"])
    expected = np.corrcoef(plotting.principal_axes(rec).coordinates[1:, 1], year[1:])[0, 1]
    assert second["Release Year"] == pytest.approx(expected)


def test_popularity_is_found():
    counts = np.random.default_rng(0).integers(20, 200, 50)
    factors = random_factors(50, 3) * 0.01
    factors[:, 2] += np.log(counts)
    first = plotting.principal_axes(with_factors(factors, counts=counts)).correlations[0]
    assert abs(first["number of ratings (log)"]) > 0.99


def test_chance_names_no_axis():
    rng = np.random.default_rng(4)
    table = pl.DataFrame({f"column {at}": rng.random(40) for at in range(10)})
    figure = plotting.factor_map(with_factors(random_factors(40, 4), table=table))
    assert "correlation" not in figure.axes[0].get_xlabel() + figure.axes[0].get_ylabel()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=30))
@settings(deadline=None)
def test_correlations_lie_between_minus_one_and_one(pairs):
    from palate.plotting.space import _correlation

    one, other = np.array(pairs).T
    r = _correlation(one, other)
    assert np.isnan(r) or -1 <= r <= 1
    if np.ptp(one) > 1e-3 and np.ptp(other) > 1e-3:
        assert r == pytest.approx(stats.pearsonr(one, other).statistic, abs=1e-5)


# ---- labels of a map


def boxes_meet(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


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


def test_the_map_shows_the_most_rated_and_its_titles_do_not_overlap():
    rng = np.random.default_rng(0)
    counts = rng.permutation(80) + 1
    rec = with_factors(rng.standard_normal((80, 3)), counts=counts, table=pl.DataFrame({"name": NAMED}))
    figure = plotting.factor_map(rec, n=40)
    figure.canvas.draw()
    ax = figure.axes[0]
    written = [text for text in ax.texts if text.get_text() in set(NAMED) and text.get_fontsize() < 8]
    most = {NAMED[code] for code in np.argsort(-counts)[:40]}
    assert 20 <= len(written) <= 40 and {text.get_text() for text in written} <= most
    boxes = [text.get_window_extent().extents for text in written]
    assert not any(boxes_meet(one, other) for at, one in enumerate(boxes) for other in boxes[:at])
    where = dict(zip(NAMED, plotting.principal_axes(rec).coordinates, strict=True))
    for text, box in zip(written, boxes, strict=True):  # beside its own point still, now that the picture is drawn
        point = ax.transData.transform(where[text.get_text()])
        assert np.linalg.norm(np.clip(point, box[:2], box[2:]) - point) < 3 * labels.GAP


NAMED = [f"A film called {at}" for at in range(80)]


def test_the_ends_of_the_axes_are_named():
    factors = np.zeros((30, 2))
    factors[:, 0] = np.linspace(-3, 3, 30)
    factors[:, 1] = np.abs(factors[:, 0])
    rec = with_factors(factors)
    low, high = (axes[0] for axes in plotting.principal_axes(rec).extremes[0])
    assert {low, high} == {0, 29}
    assert {f"← i{low}", f"i{high} →"} <= set(words(plotting.factor_map(rec)))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 33.3, 1e6])
def test_the_ends_of_the_axes_keep_clear_of_the_numbers(scale):
    names = [f"A film with quite a long name, number {at}" for at in range(40)]
    figure = plotting.factor_map(with_factors(random_factors(40, 2) * scale, table=pl.DataFrame({"title": names})))
    assert_legible(figure)
    ends = [text.get_window_extent().extents for text in figure.findobj(Text) if set("←→") & set(text.get_text())]
    others = [label.get_window_extent().extents for axis in axes_of(figure) for label in drawn_labels(axis)]
    others += [axis.label.get_window_extent().extents for axis in axes_of(figure)]
    assert len(ends) == 4 and len(others) > 8
    assert not any(boxes_meet(end, other) for end in ends for other in others)


# ---- neighbors


def test_neighbors_are_those_of_similar_items(parts):
    rec = parts.rec
    figure = plotting.neighbors(rec, "i3", n=7)
    frame = rec.similar_items("i3", 7)
    assert ticks(figure) == frame["item"].to_list()
    np.testing.assert_allclose([bar.get_width() for bar in figure.axes[0].patches], frame["cosine"])
    with pytest.raises(UnknownLabelError):
        plotting.neighbors(rec, "nothing")


def test_rare_neighbors_can_be_left_out():
    factors = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3], [-1, 0.0]])
    rec = with_factors(factors, counts=[9, 1, 9, 9, 9])
    assert ticks(plotting.neighbors(rec, "i0", n=2)) == ["i1", "i2"]
    assert ticks(plotting.neighbors(rec, "i0", n=3, min_ratings=2)) == ["i2", "i3", "i4"]


# ---- curves


def lines(figure, at=0):
    return {line.get_label(): np.array(line.get_data()) for line in figure.axes[at].lines}


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
    np.testing.assert_allclose(drawn["training"][1], [sweep.train_rmse for sweep in sweeps])
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
    assert ax.lines[1].get_xdata()[0] == 2e-3
    assert_legible(figure)
    assert len(plotting.lr_finder([1, 2], [1, 1]).axes[0].lines) == 1
    assert_legible(plotting.lr_finder([0.1], [3.0]))


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


# ---- calibration


def test_coverage_counts_ratings_inside(parts):
    test, rec = parts.test, parts.rec
    for level, share in zip((0.3, 0.8), plotting.coverage(rec, test, (0.3, 0.8)), strict=True):
        frame = rec.predict(test.to_frame().select("user", "item"), level=level)
        inside = (frame["low"].to_numpy() <= test.values) & (test.values <= frame["high"].to_numpy())
        assert share == pytest.approx(inside.mean())
    report = palate.evaluate(rec, test, baselines=False, n_bootstrap=2)
    np.testing.assert_allclose(plotting.coverage(rec, test, [0.9, 0.5]), [report["coverage_90"], report["coverage_50"]])


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6))
@settings(deadline=None, max_examples=20)
def test_wider_intervals_hold_more(levels):
    train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    rec = RECS.setdefault("bias", palate.Bias().fit(train))
    shares = plotting.coverage(rec, test, sorted(levels))
    assert (np.diff(shares) >= 0).all() and (shares >= 0).all() and (shares <= 1).all()


RECS = {}


def test_a_model_that_is_right_covers_what_it_claims():
    rec = with_factors(np.zeros((50, 2)), np.zeros(50), counts=[400] * 50)  # everybody gives 3, with noise 1
    model = replace(rec.model, limits=(-20.0, 20.0), factors=replace(rec.model.factors, users=np.zeros((400, 3), "f4")))
    rng = np.random.default_rng(0)
    codes = np.arange(20_000, dtype=np.int32)
    test = palate.Ratings(
        codes % 400, codes % 50, rng.normal(3, 1, 20_000),
        user_vocabulary=rec.model.user_vocabulary, item_vocabulary=rec.model.item_vocabulary,
    )  # fmt: skip
    levels = np.array([0.1, 0.5, 0.9])
    measured = plotting.coverage(Recommender(model), test, levels)
    assert (np.abs(measured - levels) < 4 * np.sqrt(levels * (1 - levels) / 20_000)).all()


def test_coverage_goes_by_labels_not_codes(parts):
    test, rec = parts.test, parts.rec
    frame = test.to_frame()
    again = palate.read(frame[:200])  # its own vocabularies: fewer labels, other codes
    assert len(again.item_vocabulary) != len(test.item_vocabulary) or len(again.user_vocabulary) < test.n_users
    assert plotting.coverage(rec, again, [0.6]) == pytest.approx(plotting.coverage(rec, test[:200], [0.6]))


def test_the_curve_stands_beside_the_diagonal_and_its_band(parts):
    test, rec = parts.test, parts.rec
    figure = plotting.calibration(rec, test)
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["this model"], [predictions.LEVELS, plotting.coverage(rec, test)])
    np.testing.assert_allclose(drawn["calibrated"], [[0, 1], [0, 1]])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    half = band[np.isclose(band[:, 0], 0.5)][:, 1]
    low, high = stats.binom(len(test), 0.5).interval(0.95)
    assert half.min() == pytest.approx(low / len(test), abs=2e-3)
    assert half.max() == pytest.approx(high / len(test), abs=2e-3)


def test_calibration_needs_intervals_and_ratings(parts):
    train, test, rec = parts.train, parts.test, parts.rec
    with pytest.raises(OptionError, match="gives no intervals"):
        plotting.calibration(palate.ALS(n_factors=2).fit(train), test)
    with pytest.raises(DataError, match="no test ratings"):
        plotting.calibration(rec, test[:0])
    with pytest.raises(OptionError, match="level must lie between 0 and 1"):
        plotting.coverage(rec, test, [0.5, 1.0])


# ---- the cross tab


def test_the_tab_says_what_the_cross_tab_says(parts):
    rec = parts.rec
    tab = rec.cross_tab()
    figure = plotting.rating_tab(rec)
    known, predicted = ([text.get_text() for text in ax.texts] for ax in figure.axes)
    assert known == [f"{value:g}" for value in tab.known.ravel() if np.isfinite(value)]
    assert predicted == [f"{value:.1f}" for value in tab.predicted.ravel()]
    assert ticks(figure) == [str(user) for user in tab.users]
    assert ticks(figure, "x", 1) == [str(item) for item in tab.items]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), tab.predicted)
    assert figure.axes[0].images[0].get_clim() == rec.model.limits
    some = plotting.rating_tab(rec, users=["u1"], items=["i2", "i3", "i4"])
    assert ticks(some) == ["u1"] and len(some.axes[1].texts) == 3
    assert_legible(some)


def test_the_tab_of_a_model_that_ranks(parts):
    assert_legible(plotting.rating_tab(palate.Popularity().fit(parts.train)))


# ---- real data


@pytest.mark.data
def test_movielens_looks_as_it_should(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Bayes(n_sweeps=60, history=False, features=False).fit(train)
    best = ticks(plotting.item_biases(rec, min_ratings=50))
    assert best[0] in ("Schindler's List (1993)", "Shawshank Redemption, The (1994)")
    assert {"Close Shave, A (1995)", "Casablanca (1942)"} < set(best[:10])
    assert ticks(plotting.neighbors(rec, "50"))[0] == "Empire Strikes Back, The (1980)"
    figure = plotting.factor_map(rec)
    written = set(words(figure))
    assert {"Star Wars (1977)", "Toy Story (1995)", "Fargo (1996)"} < written
    assert "correlation with " in figure.axes[0].get_xlabel()
    assert {"year", "Drama", "Action"} & set(list(plotting.principal_axes(rec).correlations[0])[:3])
    assert np.abs(plotting.coverage(rec, test) - predictions.LEVELS).max() < 0.035
    for picture in (figure, plotting.item_biases(rec), plotting.rating_tab(rec), plotting.calibration(rec, test)):
        assert_legible(picture)
