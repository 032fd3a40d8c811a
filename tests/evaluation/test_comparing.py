"""Comparisons: every recipe in its row, a failing one too; as text, frame, page, picture, and at the command line."""

import base64
import json
import math
import re
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import palate
from helpers.command_line import ask, many, refusal
from palate.errors import DataError, OptionError
from palate.evaluation import Comparison, Entry, compare, evaluate
from palate.evaluation.comparing import _is_close, _verdict
from palate.evaluation.cost import Cost, saved_size
from palate.recipes.base import Recipe

HOSTILE = "<script>alert(1)</script> & \"x\" '$y_2$' \x1b[31m"


@dataclass(frozen=True)
class Breaks(Recipe):
    """A recipe with a bug."""

    kinds: ClassVar = ("explicit", "implicit")

    def _fit(self, ratings, monitor):  # noqa: ARG002
        raise RuntimeError(f"the {HOSTILE}")


@dataclass(frozen=True)
class Starves(Breaks):
    """A recipe that runs out of memory."""

    def _fit(self, ratings, monitor):  # noqa: ARG002
        raise MemoryError


@pytest.fixture(scope="module")
def whole():
    return palate.datasets.synthetic(80, 50, 2400, seed=1)


@pytest.fixture(scope="module")
def stars(whole):
    train, test = palate.split_random(whole, test=0.2, seed=0)
    recipes = [palate.Mean(), palate.Popularity(), palate.ALS(n_factors=2), Breaks(), "bias"]
    return train, test, compare(train, test, recipes, n_bootstrap=50)


@pytest.fixture(scope="module")
def likes(whole):
    train, test = palate.split_within_users(whole.likes(at_least=4), test=0.3, seed=0)
    recipes = {
        HOSTILE: palate.ImplicitALS(n_factors=3),
        "most chosen": palate.Popularity(),
        "b": Breaks(),
        "s": Starves(),
    }
    return train, test, compare(train, test, recipes, k=(3, 12), n_bootstrap=50)


def test_reports_are_those_of_evaluate(stars, likes):
    for recipe, name, (train, test, found) in (
        (palate.ALS(n_factors=2), "ALS(n_factors=2)", stars),
        (palate.ImplicitALS(n_factors=3), HOSTILE, likes),
    ):
        own = evaluate(recipe.fit(train), test, k=found.k, baselines=False, n_bootstrap=50)
        assert found[name].report.to_dict() == own.to_dict()


def test_the_best_stands_first_and_failures_last(stars, likes):
    _, _, found = stars
    names = [entry.name for entry in found.entries]
    assert set(names[:3]) == {"Mean", "Bias", "ALS(n_factors=2)"}
    errors = [entry.report["rmse"] for entry in found.entries[:3]]
    assert errors == sorted(errors)
    assert set(names[3:]) == {"Popularity", "Breaks"}
    assert "predicts no ratings" in found["Popularity"].failed
    assert found["Breaks"].failed == f"RuntimeError: the {HOSTILE}"
    assert found.best.name == names[0]
    assert math.isnan(found["Breaks"].seconds)
    _, _, ranked = likes
    gains = [entry.report[ranked.measure] for entry in ranked.entries[:2]]
    assert ranked.measure == "ndcg@12"
    assert gains == sorted(gains, reverse=True)
    assert ranked["s"].failed == "not enough memory for this."
    with pytest.raises(OptionError, match="no recipe 'KNN' was compared; there are"):
        found["KNN"]


def test_costs_are_measured(stars):
    for entry in stars[2].entries[:3]:
        assert 0 < entry.seconds < 60
        assert entry.size > 1000
        assert entry.memory is None or 0 <= entry.memory < 1e9


@pytest.mark.long
def test_memory_is_what_the_process_grew_by():
    blocks = []
    with Cost() as cost:
        blocks.append(np.ones(8_000_000))
    if cost.memory is None:
        pytest.skip("this system does not say how much memory a process took at most")
    assert 60e6 < cost.memory < 100e6
    with Cost() as freed:
        np.ones(8_000_000).sum()  # freed before the end: it is the highest that counts
    assert 60e6 < freed.memory < 100e6
    with Cost() as little:
        pass
    assert little.memory < 5e6


def test_size_is_that_of_the_file(whole, tmp_path):
    rec = palate.Bias().fit(whole)
    rec.save(tmp_path / "m.palate")
    assert saved_size(rec) == (tmp_path / "m.palate").stat().st_size


@pytest.mark.long
def test_neighbors_among_users_have_a_name_of_their_own(whole, monkeypatch):
    from palate.evaluation import comparing

    monkeypatch.setattr(comparing, "RECIPES", {"Neighbors": palate.Neighbors})
    for ratings, split in ((whole, palate.split_random), (whole.likes(4), palate.split_within_users)):
        train, test = split(ratings, test=0.2, seed=0)
        found = compare(train, test, n_bootstrap=5)
        for name, by in (("Neighbors", "items"), ("Neighbors(by='users')", "users")):
            own = evaluate(palate.Neighbors(by=by).fit(train), test, baselines=False, n_bootstrap=5)
            assert found[name].report.to_dict() == own.to_dict()


def test_by_default_every_fitting_recipe(whole, monkeypatch):
    from palate.evaluation import comparing
    from palate.recipes import RECIPES

    stars = {recipe.label() for recipe in comparing.fitting(whole)}
    chosen = {recipe.label() for recipe in comparing.fitting(whole.likes(4))}
    neighbor_index = {"Neighbors(by='users')"}
    explicit = {f"{n}()" for n, kind in RECIPES.items() if "explicit" in kind.kinds and kind.predicts_ratings}
    assert stars == explicit | neighbor_index
    assert chosen == {f"{name}()" for name, kind in RECIPES.items() if "implicit" in kind.kinds} | neighbor_index
    assert {"Mean()", "Bias()", "ALS()", "SGD()", "Bayes()"} <= stars
    assert {"Popularity()", "ImplicitALS()"} <= chosen
    monkeypatch.setattr(comparing, "RECIPES", {"Mean": palate.Mean, "Bias": palate.Bias})
    found = compare(*palate.split_random(whole), n_bootstrap=5)
    assert {entry.name for entry in found.entries} == {"Mean", "Bias"}


def test_the_verdict_names_what_is_not_significantly_worse(stars, whole):
    train, test, found = stars
    assert found.verdict.startswith(f"Best by rmse: {found.best.name}")
    assert "Mean" not in found.verdict  # by far the worst
    equal = compare(train, test, {"one": palate.Bias(), "two": palate.Bias()}, n_bootstrap=50)
    assert "not significantly better than two" in equal.verdict
    assert compare(train, test, ["Mean"], n_bootstrap=5).verdict == ""


def test_the_table_in_text_frame_and_json(stars, likes):
    for _, _, found in (stars, likes):
        text = str(found)
        for entry in found.entries:
            assert entry.name in text
            assert not entry.failed or f"{entry.name} failed: {entry.failed}" in text
        plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert [entry["name"] for entry in plain["entries"]] == [entry.name for entry in found.entries]
        frame = found.to_frame()
        assert frame["recipe"].to_list() == [entry.name for entry in found.entries]
        assert frame[found.measure].to_list()[0] == found.best.report[found.measure]
        assert frame[f"{found.measure}_low"].to_list()[0] == found.best.report.measures[found.measure].low
        assert frame["failed"].null_count() == sum(not entry.failed for entry in found.entries)
        assert frame[found.measure].null_count() == sum(bool(entry.failed) for entry in found.entries)
    assert f"{stars[2]['Bias'].report['rmse']:.4f}" in str(stars[2])


class Reader(HTMLParser):
    """What a page consists of."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_escapes_names_and_needs_nothing_from_outside(likes, tmp_path):
    _, _, found = likes
    assert palate.plotting.write_page(found, tmp_path / "c.html") == tmp_path / "c.html"
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    read = Reader(page)
    assert "script" not in read.tags
    assert "&lt;script&gt;" in page
    assert HOSTILE in read.texts  # as it was, and as text
    links = [value for name, value in read.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert not re.search(r"https?://|@import|url\(", page)
    assert list(tmp_path.iterdir()) == [tmp_path / "c.html"]
    (picture,) = links
    assert base64.b64decode(picture.partition(",")[2]).startswith(b"\x89PNG")


def test_the_picture(stars, likes, tmp_path):
    for _, _, found in (stars, likes):
        figure = palate.plotting.compared(found)
        figure.savefig(tmp_path / "c.png")
        assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
        (ax,) = figure.axes
        points = ax.collections[0].get_segments() if ax.collections else []
        assert len(points) == sum(not entry.failed for entry in found.entries)  # an interval each
        assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "1 - NDCG@12 on held-out choices"
    best = likes[2].best
    errors = sorted(point[1] for point in ax.lines[0].get_xydata())
    assert errors[0] == pytest.approx(1 - best.report["ndcg@12"])


def test_the_line_joins_what_nothing_beats():
    pytest.importorskip("matplotlib")
    from palate.showing.pictures.tradeoff import front

    points = np.array([(1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (2.0, 2.5), (4.0, 1.0)])
    assert front(points) == [0, 3, 4]


def page_of(found, folder):
    return palate.plotting.write_page(found, folder / "page.html").read_text(encoding="utf-8")


def test_when_all_fail(whole, tmp_path):
    train, test = palate.split_random(whole)
    found = compare(train, test, [Breaks()])
    assert "Breaks failed" in str(found)
    assert "every recipe failed" in page_of(found, tmp_path)
    with pytest.raises(OptionError, match="every recipe failed"):
        _ = found.best
    with pytest.raises(OptionError, match="every recipe failed"):
        palate.plotting.compared(found)


def test_without_matplotlib(stars, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = palate.plotting.write_page(stars[2], tmp_path / "c.html").read_text(encoding="utf-8")
    assert "No picture: a picture needs matplotlib" in page
    assert "<img" not in page


def test_entries_are_printed_as_they_come(stars, capsys):
    train, test, _ = stars
    seen = []
    found = compare(train, test, ["Mean", Breaks()], n_bootstrap=5, callback=seen.append, progress=True)
    assert [entry.name for entry in seen] == ["Mean", "Breaks"]
    assert set(map(id, seen)) == set(map(id, found.entries))
    told = capsys.readouterr().err
    assert "1 of 2: Mean, rmse" in told
    assert "2 of 2: Breaks failed: RuntimeError" in told
    compare(train, test, ["Mean"], n_bootstrap=5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("recipes", "words"),
    [([], "recipes is empty"), ({}, "recipes is empty"), ("ALS", "must be a list"), (palate.ALS(), "must be a list"),
     (["KNN"], "there is no recipe 'KNN'"), ([palate.ALS], "is not a recipe"), (["ALS", "als"], "one twice"),
     (3, "must be a list")],
)  # fmt: skip
def test_values_that_are_not_recipes(stars, recipes, words):
    with pytest.raises(OptionError, match=words):
        compare(stars[0], stars[1], recipes)


def test_ratings_that_cannot_be_compared_on(stars, likes):
    with pytest.raises(OptionError, match="train has explicit ratings and test implicit ones"):
        compare(stars[0], likes[1])
    with pytest.raises(DataError, match="test has no ratings"):
        compare(stars[0], stars[1][:0])
    with pytest.raises(OptionError, match="train must be a Ratings"):
        compare("ratings.csv", stars[1])
    with pytest.raises(OptionError, match="attribute='genre' applies to recommended lists"):
        compare(*stars[:2], attribute="genre")
    with pytest.raises(OptionError, match="not a column of the item table"):
        compare(*likes[:2], attribute="genre")
    with pytest.raises(OptionError, match="k must be a whole number"):
        compare(*likes[:2], k=0)


def test_entries_without_memory_or_intervals_are_shown_too(stars, tmp_path):
    found = stars[2]
    measures = {
        name: replace(measure, low=math.nan, high=math.nan) for name, measure in found.best.report.measures.items()
    }
    bare = replace(found.best, memory=None, size=None, report=replace(found.best.report, measures=measures))
    other = replace(found, entries=(bare,))
    assert isinstance(other, Comparison) and isinstance(bare, Entry)
    assert other.cells()[1][-2:] == ["-", "-"]
    assert "<img" in page_of(other, tmp_path)
    assert other.to_frame()["memory"].to_list() == [None]


def by_hand(kind="explicit", k=(5, 10, 20), **more):
    entries = (
        Entry("one", "One()", None, 1.5, 3_000_000, 250_000),
        Entry("two", "Two()", None, 0.25, None, None),
        Entry("bad", "Bad()", None, failed="it broke"),
    )
    sizes = {"n_train": 12_345, "n_test": 678, "n_users": 1_000, "n_items": 90, "verdict": "Best: one."}
    return Comparison(entries, kind, "rmse", k, **sizes | more)


@pytest.mark.parametrize(("kind", "noun"), [("explicit", "ratings"), ("implicit", "likes")])
def test_the_heading_counts_what_there_is(kind, noun):
    assert by_hand(kind).heading == f"12,345 {noun} to learn from, 678 to test on; 1,000 users, 90 items"


@pytest.mark.parametrize(
    ("kind", "k", "shown"),
    [("explicit", (5, 10), ("rmse", "mae")), ("implicit", (5, 10, 20), ("ndcg@10", "recall@20", "coverage@10")),
     ("implicit", (3,), ("ndcg@3", "recall@3", "coverage@3")),
     ("implicit", (8, 12, 15, 25), ("ndcg@8", "recall@15", "coverage@8")),
     ("implicit", (1, 11, 19), ("ndcg@11", "recall@19", "coverage@11"))],
)  # fmt: skip
def test_the_table_shows_the_lengths_nearest_to_ten_and_twenty(kind, k, shown):
    assert by_hand(kind, k).shown == shown


def test_the_table_by_columns_rows_and_lines():
    """Sizes are in MB of a million bytes; what is unknown and all of what failed is a dash."""
    found = by_hand()
    nothing = str(found.entries[0].measure("rmse"))
    assert found.columns() == {
        "recipe": ["one", "two", "bad"],
        "rmse": [nothing, nothing, None],
        "mae": [nothing, nothing, None],
        "seconds": [1.5, 0.25, None],
        "memory MB": [3.0, None, None],
        "size MB": [0.25, None, None],
    }
    assert found.cells() == [
        ["recipe", "rmse", "mae", "seconds", "memory MB", "size MB"],
        ["one", nothing, nothing, "1.50", "3.00", "0.25"],
        ["two", nothing, nothing, "0.25", "-", "-"],
        ["bad", "-", "-", "-", "-", "-"],
    ]
    assert found.notes == ["Best: one.", "bad failed: it broke"]
    assert by_hand(verdict="").notes == ["bad failed: it broke"]
    lines = str(found).splitlines()
    assert lines[0] == found.heading and lines[-2:] == found.notes and len(lines) > 6
    assert found["two"].seconds == 0.25 and found.best.name == "one"
    with pytest.raises(OptionError, match="no recipe 'x' was compared; there are one, two, bad"):
        found["x"]
    with pytest.raises(OptionError, match="every recipe failed; bad: it broke"):
        _ = replace(found, entries=found.entries[2:]).best


def test_an_entry_as_plain_values_has_none_for_what_is_missing():
    plain = by_hand().to_dict()
    assert [list(entry.values()) for entry in plain["entries"]] == [
        ["one", "One()", 1.5, 3_000_000, 250_000, None, None, None],
        ["two", "Two()", 0.25, None, None, None, None, None],
        ["bad", "Bad()", None, None, None, "it broke", None, None],
    ]
    assert (plain["kind"], plain["measure"], plain["k"], plain["read"]) == ("explicit", "rmse", [5, 10, 20], {})
    frame = by_hand().to_frame()
    assert frame.columns == ["recipe", "seconds", "memory", "size", "failed", "left_out"]
    assert frame["seconds"].to_list() == [1.5, 0.25, None]
    assert frame["failed"].to_list() == [None, None, "it broke"]
    assert math.isnan(by_hand()["one"].measure("rmse").value)


def judged(name, *sums):
    """An entry with these sums of errors, one user each."""
    per_user = SimpleNamespace(sums=np.array(sums, float), counts=np.ones(len(sums)))
    return Entry(name, name, SimpleNamespace(per_user=per_user))


def test_a_recipe_is_close_where_the_interval_of_the_difference_holds_zero():
    own, clear = np.linspace(1, 9, 40), np.linspace(0.5, 1.5, 40)
    split = np.where(np.arange(40) % 2, 3.0, -2.0)  # 0.5 on average, and far from clear
    best = judged("best", *own)
    for shift, is_close in ((0 * clear, True), (clear, False), (-clear, False), (split, True), (-split, True)):
        assert _is_close(best, judged("other", *(own + shift)), 200, 0) == is_close
    failed, names = Entry("bad", "bad", failed="it broke"), ["b", "c", "d"]
    others = [judged(name, *(own + shift)) for name, shift in zip(names, (split, clear, split / 2), strict=True)]
    told = _verdict([best, *others, failed], "rmse", 200, 0)
    assert told == "Best by rmse: best, not significantly better than b, d (95% bootstrap)."
    told = _verdict([best, others[1], failed], "rmse", 200, 0)
    assert told == "Best by rmse: best, significantly better than all others (95% bootstrap)."
    assert _verdict([best, failed], "rmse", 200, 0) == _verdict([failed], "rmse", 200, 0) == ""


# ---- at the command line


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    whole.to_frame().write_csv(folder / "ratings.csv")
    genres = pl.DataFrame(
        {"item": [f"i{at}" for at in range(whole.n_items)], "genre": ["a", "b"] * (whole.n_items // 2)}
    )
    genres.write_csv(folder / "items.csv")
    return folder


def run(folder, *args):
    return ask("compare", *args, cwd=folder)


def test_stars_at_the_command_line(folder, whole):
    done = run(folder, "ratings.csv", "--recipes", "Mean,bias", "--recipes", "ALS", "--out", "c.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "palate: the comparison is written to c.html.\n"
    read, *lines = done.stdout.splitlines()
    assert read.startswith("read: user = user, item = item, rating = rating; read with separator")
    assert lines[1].split() == ["recipe", "rmse", "mae", "seconds", "memory", "MB", "size", "MB"]
    assert {line.split()[0] for line in lines[2:5]} == {"Mean", "Bias", "ALS"}
    assert lines[5].startswith("Best by rmse: ")
    train, test = palate.split_random(palate.read(folder / "ratings.csv"), test=0.2, seed=0)
    assert f"{evaluate(palate.Bias().fit(train), test)['rmse']:.4f}" in done.stdout
    assert "<table>" in (folder / "c.html").read_text(encoding="utf-8")


def test_likes_at_the_command_line(folder):
    options = ["--likes", 4, "--items", "items.csv", "--attribute", "genre", "--test", 0.3, "-k", 5, "-k", 8]
    done = run(folder, "ratings.csv", *options, "--recipes", "Popularity,ImplicitALS", "--json", "-o", "c.json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["read"]["columns"] == {"user": "user", "item": "item", "rating": "rating"}
    assert (told["kind"], told["measure"], told["k"]) == ("implicit", "ndcg@8", [5, 8])
    assert json.loads((folder / "c.json").read_text(encoding="utf-8")) == told
    likes = palate.read(folder / "ratings.csv").likes(4)
    train, test = palate.split_within_users(likes, test=0.3, seed=0)
    assert (told["n_train"], told["n_test"]) == (len(train), len(test))
    report = evaluate(palate.Popularity().fit(train), test, k=(5, 8))
    own = next(entry for entry in told["entries"] if entry["name"] == "Popularity")["report"]["measures"]
    assert own["ndcg@8"]["value"] == pytest.approx(report["ndcg@8"], abs=1e-5)
    assert 0 < own["diversity_genre@5"]["value"] <= 1


def test_a_failing_recipe_at_the_command_line(folder):
    done = run(folder, "ratings.csv", "--recipes", "Mean,Popularity", "--out", "c.csv")
    assert done.returncode == 0, done.stderr
    assert "Popularity failed: " in done.stdout
    assert pl.read_csv(folder / "c.csv")["recipe"].to_list() == ["Mean", "Popularity"]
    alone = run(folder, "ratings.csv", "--recipes", "Popularity")
    assert alone.returncode == 1
    assert alone.stderr == "palate: every recipe failed.\n"


REFUSED = {
    ("--recipes", "KNN"): "there is no recipe 'KNN'",
    ("--out", "c.txt"): "the ending must be one of",
    ("--out", "no/c.html"): "there is no folder",
    ("--test", "2"): "give the share to hold out",
    ("--test", "0.0001"): "not a single rating",
    ("--likes", "9"): "no rating is 9 or more",
}


def test_refusals_at_the_command_line(folder):
    commands = [["compare", "ratings.csv", *args] for args in REFUSED]
    for words, done in zip(REFUSED.values(), many(*commands, cwd=folder), strict=True):
        assert words in refusal(done)


def test_fit_reports_on_likes_it_held_out(folder):
    options = ["--likes", "4", "--recipe", "ImplicitALS", "--test", "0.3", "--out", "m.palate"]
    (done,) = many(["fit", "ratings.csv", *options], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "held-out items" in done.stdout
    assert palate.load(folder / "m.palate").model.metrics["measures"]["ndcg@10"]["value"] > 0


# ---- next items


def test_recipes_are_compared_by_the_next_item(whole, tmp_path):
    train, test = palate.split_last(whole.likes(at_least=4), 2)
    found = compare(train, test, ["EASE", "Popularity", palate.Bias()], next_item=True, n_bootstrap=50)
    assert (found.next_item, found.measure, found.k, found.n_test) == (True, "ndcg@10", (1, 5, 10, 20), len(test))
    for recipe in (palate.EASE(), palate.Popularity()):
        own = evaluate(recipe.fit(train), test, next_item=True, baselines=False, n_bootstrap=50)
        assert found[type(recipe).__name__].report.to_dict() == own.to_dict()
    assert "learns from ratings" in found["Bias"].failed
    assert found.cells()[0][:4] == ["recipe", "ndcg@10", "hit_rate@10", "mrr"]
    assert found.verdict.startswith("Best by ndcg@10: ")
    assert {"ndcg@1", "mrr", "mrr_low"} < set(found.to_frame().columns)
    assert json.loads(json.dumps(found.to_dict()))["next_item"] is True
    pytest.importorskip("matplotlib", reason="needs palate[plot]")
    assert "hit_rate@10" in palate.plotting.write_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(OptionError, match="next_item=True ranks what users choose next"):
        compare(*palate.split_last(whole), ["Bias"], next_item=True)


def test_a_comparison_says_that_it_saw_what_came_later():
    rng = np.random.default_rng(0)
    columns = {"user": rng.integers(0, 20, 300), "item": rng.integers(0, 15, 300), "rating": rng.integers(1, 6, 300)}
    ratings = palate.read(columns | {"time": np.arange(300) // 30}, duplicates="last")
    train, test = palate.split_random(ratings, test=0.3, seed=0)
    found = compare(train, test, ["Mean"], n_bootstrap=5)
    newest = {user: train.times[train.user_codes == user].max(initial=-1) for user in range(20)}
    n_older = sum(time < newest[user] for user, time in zip(test.user_codes, test.times, strict=True))
    assert found.n_older == n_older > 0
    assert f"{n_older} of the test part are older" in str(found)
    later = compare(*palate.split_time(ratings, test=0.3), ["Mean"], n_bootstrap=5)
    assert later.n_older == 0 and "What a split may claim" not in str(later)
    folds = palate.cross_validate(palate.Mean(), ratings, folds=3)
    assert folds.n_older == folds.to_dict()["n_older"] > 0 and "What a split may claim" in str(folds)
    timeless = palate.read(columns, duplicates="last")
    assert "What a split may claim" not in str(palate.cross_validate(palate.Mean(), timeless, folds=3))
