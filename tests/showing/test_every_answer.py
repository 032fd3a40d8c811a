"""Every public answer shows itself: HTML that is whole, escaped and bounded, and a short repr; of any ratings."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import palate
from helpers.html import LONG_NUMBER, checked
from palate import evaluation, tuning
from palate.answers import results
from palate.answers.fold_in import FoldIn
from palate.answers.fold_in_many import FoldIns
from palate.answers.matching import Match
from palate.data.blocks import Blocks
from palate.data.checking import Check
from palate.data.findings import Finding
from palate.data.ratings import ReadReport
from palate.recipes import Sweep
from palate.recommender import Recommender
from palate.showing.texts import MAX_REPR, UNSAFE
from palate.tuning import Trial, Tuning

MAX_HTML = 100_000
SCRIPT = "<script>alert(1)</script>"
LABELS = [
    SCRIPT,
    'a "quoted" & <b>bold</b> name',
    "Amélie 🎬",
    "tab\tnewline\nbell\x07",
    "\u202eright to left",
    "x" * 300,
]
# Classes that users are given, and that show themselves in notebooks; the tests below need one of each.
ANSWERS = {
    *(found for module in (evaluation, tuning, results, palate.datasets) for found in vars(module).values()
      if inspect.isclass(found) and found.__module__.startswith(module.__name__) and not issubclass(found, Exception)),
    *(FoldIn, FoldIns, Match, Check, Finding, palate.Ratings, Blocks, Recommender, ReadReport),
}  # fmt: skip


def world(labels, n_users, *, kind="explicit", with_titles=True, n_items=12):
    """Ratings of items with such labels by users with such labels; titles are labels too."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(n_users), 6)
    items = np.concatenate([rng.permutation(n_items)[:6] for _ in range(n_users)])

    def name(code):
        label = labels[code % len(labels)]
        return label + code if isinstance(label, int) else f"{label}{code}"

    columns = {"user": [name(code) for code in users], "item": [name(code) for code in items]}
    if kind == "explicit":
        columns["rating"] = rng.integers(1, 6, len(users))
    else:
        columns["count"] = rng.integers(1, 9, len(users))
    ratings = palate.read(columns, kind=kind, on_bad_rows="report")
    if not with_titles:
        return ratings
    table = {
        "item": list(ratings.item_vocabulary),
        "title": [f"{LABELS[at % 6]} {at}" for at in range(ratings.n_items)],
    }
    return ratings.with_items(table)


def answers_to(ratings):
    """One of each answer that a model of these ratings gives."""
    is_implicit = ratings.is_implicit
    recipe = palate.EASE() if is_implicit else palate.Bayes(n_factors=2, n_sweeps=3)
    split = palate.split_within_users if is_implicit else palate.split_random
    train, test = split(ratings, test=0.3, seed=0)
    rec = recipe.fit(train, progress=False)
    user, item = next(iter(ratings.user_vocabulary)), next(iter(ratings.item_vocabulary))
    given = [item] if is_implicit else {item: 5}
    new = "new" if isinstance(user, str) else -1
    report = palate.evaluate(rec, test, n_bootstrap=10, **({"k": (3, 5)} if is_implicit else {}))
    comparison = palate.compare(train, test, ["Popularity" if is_implicit else "Mean", recipe], n_bootstrap=10)
    found = palate.check(ratings, order=False)
    match = rec.match({"item": [str(item), SCRIPT], **({} if is_implicit else {"rating": [5, 1]})})
    yield from (ratings, ratings.report, found, found.findings[0], rec, rec.with_metrics(report.to_dict()))
    yield from (rec.explain(user, item), *rec.explain(user, item).because[:1], rec.fold_in(given), match)
    yield from (rec.cross_tab([user], [item]), rec.fold_in({new: given}), rec.fold_in([given]))
    yield from (report, next(iter(report.measures.values())), comparison, *comparison.entries)
    drift = palate.drift(rec, test, n_bootstrap=10)
    yield from (drift, *drift.shifts)
    yield palate.cross_validate(recipe, ratings, 2, progress=False)
    if is_implicit:
        yield palate.evaluate(rec, test, next_item=True, n_bootstrap=10)
    else:
        yield from (rec.predict(user, item), rec.predict(user, item, distribution=True), rec.fold_in({}))


WORLDS = {
    "texts": lambda: world(LABELS, 30),
    "integers": lambda: world([10**12], 30),
    "without titles": lambda: world(LABELS, 30, with_titles=False),
    "choices": lambda: world(LABELS, 30, kind="implicit"),
    "one person": lambda: world(LABELS, 1, with_titles=False),
}


@pytest.fixture(scope="module")
def shown():
    """World -> its answers, made once."""
    made = {}

    def answers(name):
        if name not in made:
            made[name] = list(answers_to(WORLDS[name]()))
        return made[name]

    return answers


def made_by_hand(tmp_path):
    """Answers that need no fit, or that are quicker to write down."""
    trials = (
        Trial(0, 0, {}, passes=None, value=0.951234567890123, seconds=0.1, state="finished"),
        Trial(1, 1, {"weight_decay": 1 / 3}, None, 0.93, 0.1, "finished", {"n_sweeps": 31}),
        Trial(2, 1, {"weight_decay": 1e-9}, None, None, 0.1, "failed"),
    )
    yield from (*trials, Tuning(palate.Bias(), "rmse", trials), evaluation.Entry(SCRIPT, "Bias()", failed=SCRIPT))
    yield evaluation.Entry("Bias", "Bias()", left_out="there was no time.")
    yield from (palate.datasets.available()[0], palate.datasets.synthetic_factors(6, 4, 2))
    yield palate.blocks.write(tmp_path / "some.blocks", world(LABELS, 9), progress=False)
    yield results.Explanation(
        SCRIPT, SCRIPT, SCRIPT, 1 / 3, {"mean": 1 / 3}, [results.Reason(SCRIPT, None, 1, 2 / 3)], 0
    )
    yield palate.read({"user": ["a", "a"], "item": ["b", "b"], "rating": [1, None]}, on_bad_rows="report")
    yield ReadReport(
        bad_examples=(SCRIPT,) * 5, columns={SCRIPT: SCRIPT}, unused=dict.fromkeys(map(str, range(500)), SCRIPT)
    )


def check_shown(answer):
    """Fail unless an answer shows itself as it should; return the text of its HTML."""
    assert len(repr(answer)) <= 2_000, type(answer)
    assert not LONG_NUMBER.search(repr(answer)), repr(answer)
    assert not UNSAFE.search((str(answer) + repr(answer)).replace("\n", "")), type(answer)
    assert not re.search(r"array\(|tensor\(| object at 0x", repr(answer)), repr(answer)
    if not hasattr(answer, "_repr_html_"):
        return ""
    html = answer._repr_html_()
    assert len(html) <= MAX_HTML
    assert "<script" not in html and "<b>" not in html and "\u202e" not in html and "\x07" not in html
    return checked(html)


@pytest.mark.parametrize("name", WORLDS)
def test_answers_to_any_ratings_show_themselves(name, shown):
    for answer in shown(name):
        assert hasattr(answer, "_repr_html_"), type(answer)
        assert check_shown(answer).strip()


def test_every_answer_class_shows_itself(shown, tmp_path):
    answers = [*shown("texts"), *shown("choices"), *made_by_hand(tmp_path)]
    for answer in answers:
        check_shown(answer)
    assert ANSWERS - {type(answer) for answer in answers} == set()
    assert {found for found in ANSWERS if not hasattr(found, "_repr_html_")} == set()


@pytest.mark.parametrize("name", WORLDS)
def test_answers_can_be_copied_to_another_process(name, shown):
    for answer in shown(name):
        for made in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
            assert repr(made) == repr(answer)


def test_answers_of_a_training_show_themselves():
    pytest.importorskip("torch")
    from helpers import training

    learner = training.learner().fit(3)
    search = palate.nn.LrSearch([1e-7 / 3, 1.0], [2 / 3, 0.5], [2 / 3, 0.5], 1 / 3)
    answers = [learner.recorder, learner.recorder.epochs[0], search]
    for answer in answers:
        assert check_shown(answer).strip()
    for answer in (learner, learner.validate(), learner.loaders, Sweep(1, None, 1 / 3, 2 / 3, None)):
        check_shown(answer)
    assert check_shown(learner.recorder).count(" s") == 3


def test_what_a_model_is_made_of_shows_no_arrays(shown):
    rec = next(answer for answer in shown("texts") if isinstance(answer, Recommender))
    model = rec.model
    for part in (model, model.factors, model.posterior, model.history, model.user_info, rec.fold_in({})._rows):
        assert len(repr(part)) <= 2_000
        assert "array(" not in repr(part)


def test_a_prediction_is_still_a_tuple_of_three():
    one = results.Prediction(4.1312, 2.5, 5.0)
    assert repr(one) == str(one) == "4.13 (2.5 .. 5.0)"
    assert one == (4.1312, 2.5, 5.0) and [*one] == [4.1312, 2.5, 5.0]
    assert one._asdict() == {"prediction": 4.1312, "low": 2.5, "high": 5.0}
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert other == one and type(other) is results.Prediction
    match one:
        case results.Prediction(prediction, low, high):
            assert (prediction, low, high) == tuple(one)
    told = results.Distribution(4.1, 2.5, 5.0, {1.0: 0.25, 5.0: 0.75})
    assert repr(told) == "4.10 (2.5 .. 5.0); 1: 25%, 5: 75%"
    assert pickle.loads(pickle.dumps(told)) == told


def test_an_explanation_has_a_bar_for_each_reason(shown):
    why = next(answer for answer in shown("texts") if isinstance(answer, results.Explanation))
    assert why.because and f"{why.because[0].contribution:+.3f}" in check_shown(why)
    html = why._repr_html_()
    n_parts = sum(part != "mean" for part in why._parts())
    assert html.count('class="palate-b') == n_parts + len(why._reasons()) + len(why.known) + 1
    assert ("palate-down" in html) == any(
        share < 0 for share in (*why.parts.values(), *(r.contribution for r in why.because))
    )


def test_very_many_users_and_items_fit_on_a_screen():
    n = 100_000
    columns = {"user": np.arange(n), "item": np.arange(n) % 5_000, "rating": np.arange(n) % 5 + 1}
    ratings = palate.read(columns)
    rec = palate.Bias(n_sweeps=1).fit(ratings, progress=False)
    many = rec.fold_in({-1 - at: {1: 5} for at in range(300)})
    table = rec.cross_tab(list(range(60)), list(range(60)))
    for answer in (
        ratings,
        rec,
        many,
        table,
        palate.check(ratings),
        rec.match({"item": list(range(9_000)), "rating": [1] * 9_000}),
    ):
        check_shown(answer)
    assert "print() shows all" in repr(table) and len(str(table)) > MAX_REPR
    assert "40 more rows" in check_shown(table)


@pytest.mark.data
def test_ratings_of_films_at_a_glance(ml_100k):
    text = check_shown(ml_100k)
    for part in (
        "100,000 ratings of 1,682 items by 943 users",
        "6.30%",
        "1997-09-20 to 1998-04-22",
        "Toy Story|mean 3.530",
    ):
        assert re.search(part.replace(".", r"\."), text), part
    assert "34.2%" in text  # of the ratings are 4
