"""Every picture can be read, follows the user's style, leaves no trace, and copes with small and broken models."""

import inspect
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import palate
from helpers.pictures import (
    assert_legible,
    boxes_meet,
    drawn_labels,
    pixels,
    random_factors,
    ticks,
    title,
    with_factors,
    words,
)
from palate.errors import DataError, OptionError

matplotlib = pytest.importorskip("matplotlib")
from palate import plotting  # noqa: E402
from palate.answers.results import CrossTab, Distribution, Explanation  # noqa: E402
from palate.data.checking import Check  # noqa: E402
from palate.evaluation import Comparison, CrossValidation, NextItemReport, RankingReport, Report  # noqa: E402
from palate.plotting import predictions  # noqa: E402
from palate.tuning import Tuning  # noqa: E402

RECORDS = [{"epoch": e, "train_loss": 1 / e, "valid_loss": 1 + (e - 3) ** 2} for e in range(1, 7)]
SWEEP = [(0.0, 0.3, 1.2, 90.0), (1e-3, 0.4, 1.0, 60.0), (1e-2, 0.6, 0.9, 40.0), (0.1, 0.9, 0.95, 9.0)]
RESULTS = (Report, RankingReport, NextItemReport, Comparison, CrossValidation, Tuning, Check, Explanation, CrossTab,
           Distribution)  # fmt: skip
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
    "report": lambda it: it.report.plot(),
    "ranking": lambda it: it.ranking.plot(),
    "next_item": lambda it: it.next_item.plot(),
    "check": lambda it: it.check.plot(),
    "explanation": lambda it: it.rec.explain("u1", "i2").plot(),
    "explanation_of_lists": lambda it: it.lists.explain("u1", "i2").plot(),
    "distribution": lambda it: it.rec.predict("u1", "i2", distribution=True).plot(),
    "folds": lambda it: it.folds.plot(),
}
# Each picture again in axes that were given: how many of them it needs, and how it takes them.
INTO = {
    "item_biases": (1, lambda it, ax: plotting.item_biases(it.rec, n=8, ax=ax)),
    "factor_map": (1, lambda it, ax: plotting.factor_map(it.rec, ax=ax)),
    "neighbors": (1, lambda it, ax: plotting.neighbors(it.rec, "i3", ax=ax)),
    "training_curves": (1, lambda it, ax: plotting.training_curves(it.sweeps, ax=ax)),
    "lr_finder": (1, lambda _, ax: plotting.lr_finder([1e-3, 1e-2], [1.3, 1.2], ax=ax)),
    "weight_decay_sweep": (2, lambda _, ax: plotting.weight_decay_sweep(SWEEP, ax=ax)),
    "calibration": (1, lambda it, ax: plotting.calibration(it.rec, it.test, ax=ax)),
    "rating_tab": (2, lambda it, ax: plotting.rating_tab(it.rec, ax=ax)),
    "compared": (1, lambda it, ax: plotting.compared(it.comparison, ax=ax)),
    "tuned": (4, lambda it, ax: plotting.tuned(it.tuning, ax=ax)),
    "report": (4, lambda it, ax: it.report.plot(ax=ax)),
    "one_of_a_report": (1, lambda it, ax: it.report.plot("calibration", ax=ax)),
    "ranking": (4, lambda it, ax: it.ranking.plot(ax=ax)),
    "check": (3, lambda it, ax: it.check.plot(ax=ax)),
    "explanation": (2, lambda it, ax: it.rec.explain("u1", "i2").plot(ax=ax)),
    "distribution": (1, lambda it, ax: it.rec.predict("u1", "i2", distribution=True).plot(ax=ax)),
    "folds": (1, lambda it, ax: it.folds.plot(ax=ax)),
    "comparison_itself": (1, lambda it, ax: it.comparison.plot(ax=ax)),
    "tuning_itself": (4, lambda it, ax: it.tuning.plot(ax=ax)),
}
each_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


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


@pytest.mark.long
@each_picture
def test_the_same_picture_comes_out_twice(draw, parts):
    np.testing.assert_array_equal(pixels(draw(parts)), pixels(draw(parts)))


@each_picture
def test_notebooks_and_files_show_it(draw, parts, tmp_path):
    figure = draw(parts)
    image, shown = figure._repr_png_()
    assert image.startswith(b"\x89PNG")
    wide, high = np.frombuffer(image[16:24], ">u4")  # twice as sharp as it is shown
    assert (wide, high) == pytest.approx((2 * shown["width"], 2 * shown["height"]), abs=2)
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


@pytest.mark.parametrize(("n", "draw"), INTO.values(), ids=INTO)
def test_it_draws_into_axes_that_are_given(n, draw, parts):
    whole = matplotlib.figure.Figure(figsize=(9, 7), layout="constrained")
    kept, given = whole.subfigures(1, 2)
    before = kept.subplots()
    axes = given.subplots(n, 1, squeeze=False).ravel()
    assert draw(parts, axes[0] if n == 1 else axes) is whole
    assert all(ax.has_data() for ax in axes)
    assert not before.has_data() and len(whole.axes) == n + 1
    for wrong in ([*axes, before], [], 3, "axes"):
        with pytest.raises(OptionError, match=r"^ax (gives|must be)"):
            draw(parts, wrong)


def test_every_drawing_takes_axes():
    public = [getattr(plotting, name) for name in plotting.__all__]
    drawn = [f for f in public if inspect.isfunction(f) and inspect.signature(f).return_annotation == "Figure"]
    assert len(drawn) == 10
    for draw in [*drawn, *(cls.plot for cls in RESULTS)]:
        ax = inspect.signature(draw).parameters["ax"]
        assert ax.default is None and ax.kind is inspect.Parameter.KEYWORD_ONLY


def test_one_drawing_of_several_is_chosen_by_name(parts):
    for found, names in ((parts.report, ["predictions", "calibration", "activity", "popularity"]),
                         (parts.ranking, ["recall", "ndcg", "activity", "popularity"]),
                         (parts.next_item, ["hit_rate", "ndcg", "activity", "popularity"]),
                         (parts.check, ["values", "items", "users"])):  # fmt: skip
        together = found.plot()
        whole = [title(together, at) for at in range(len(names))]
        assert [title(found.plot(name)) for name in names] == whole
        with pytest.raises(OptionError, match=f"what='error' is none of {', '.join(map(repr, names))}"):
            found.plot("error")


@each_picture
def test_no_text_covers_another(draw, parts):
    figure = draw(parts)
    figure.canvas.draw()
    for ax in figure.axes:
        shown = [text for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title) if text.get_text()]
        shown += [label for axis in (ax.xaxis, ax.yaxis) for label in drawn_labels(axis)]
        boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.9).extents) for text in shown]
        assert [(a, b) for at, (a, one) in enumerate(boxes) for b, other in boxes[:at] if boxes_meet(one, other)] == []


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


@pytest.mark.long
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


# ---- small and broken models


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_n_is_a_whole_number(n, parts):
    rec = parts.rec
    for draw in (plotting.item_biases, plotting.factor_map, lambda rec, n: plotting.neighbors(rec, "i1", n)):
        with pytest.raises(OptionError, match="n must be a whole number, 1 or more"):
            draw(rec, n)


@pytest.mark.parametrize("n_items", [1, 2, 3])
def test_a_few_items_are_enough(n_items):
    rec = with_factors(random_factors(n_items, 3), biases=[0.5, -0.5, 0.1][:n_items])
    for figure in (plotting.item_biases(rec), plotting.factor_map(rec), plotting.neighbors(rec, "i0"),
                   plotting.rating_tab(rec)):  # fmt: skip
        assert_legible(figure)
    assert plotting.principal_axes(rec).coordinates.shape == (n_items, 2)


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


# ---- titles and labels of all kinds


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


# ---- real data


@pytest.mark.long
@pytest.mark.data
def test_movielens_looks_as_it_should(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Bayes(n_sweeps=60, history=False, features=False).fit(train)
    best = ticks(plotting.item_biases(rec, min_ratings=50))
    assert best[0] in ("Schindler's List (1993)", "Shawshank Redemption, The (1994)")
    loved = {"Casablanca (1942)", "Star Wars (1977)", "Usual Suspects, The (1995)", "Wrong Trousers, The (1993)"}
    assert len(loved & set(best[:10])) >= 3
    assert ticks(plotting.neighbors(rec, "50"))[0] == "Empire Strikes Back, The (1980)"
    figure = plotting.factor_map(rec)
    written = set(words(figure))
    assert {"Star Wars (1977)", "Toy Story (1995)", "Fargo (1996)"} < written
    assert "correlation with " in figure.axes[0].get_xlabel()
    assert {"year", "Drama", "Action"} & set(list(plotting.principal_axes(rec).correlations[0])[:3])
    assert np.abs(plotting.coverage(rec, test) - predictions.LEVELS).max() < 0.035
    for picture in (figure, plotting.item_biases(rec), plotting.rating_tab(rec), plotting.calibration(rec, test)):
        assert_legible(picture)
