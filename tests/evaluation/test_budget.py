"""A comparison in bounded time: what is estimated, what is left out and why, and on whom the rest is tested."""

import re
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import OptionError
from palate.evaluation import budget, compare
from palate.evaluation.budget import Budget, drawn, extrapolated, of_some_users
from palate.recipes.base import Recipe


@dataclass(frozen=True)
class Sleeps(palate.Popularity):
    """Popularity that takes some seconds for each million ratings, as any recipe might."""

    seconds: float = 0.0
    sizes: ClassVar[list[int]] = []

    def _fit(self, ratings, monitor):
        self.sizes.append(len(ratings))
        time.sleep(self.seconds * len(ratings) / 1e6 if self.seconds < 1000 else 0)  # longer ones are not waited for
        return super()._fit(ratings, monitor)


@dataclass(frozen=True)
class Large(palate.Popularity):
    """Popularity that says it needs more memory than there is."""

    def bytes_needed(self, ratings):  # noqa: ARG002
        return 10**18

    def _fit(self, ratings, monitor):  # noqa: ARG002
        raise AssertionError("it was not to be fitted")


@dataclass(frozen=True)
class Breaks(palate.Popularity):
    """A recipe with a bug."""

    def _fit(self, ratings, monitor):  # noqa: ARG002
        raise RuntimeError("a bug")


@pytest.fixture(scope="module")
def likes():
    whole = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1500, seed=1).likes(at_least=4)
    return palate.split_within_users(whole, test=0.2, seed=0)


@pytest.fixture
def small_samples(monkeypatch):
    """Every set is large, and samples are small. What Sleeps says that it takes is what the clock shows."""

    fit_timed = budget._timed

    def timed(recipe, ratings):
        return fit_timed(recipe, ratings)[0], getattr(recipe, "seconds", 0.0) * len(ratings) / 1e6

    monkeypatch.setattr(budget, "FEW", 10)
    monkeypatch.setattr(budget, "SAMPLES", (20, 40))
    monkeypatch.setattr(budget, "_timed", timed)


def left_out_of(found):
    return {entry.name: entry.left_out for entry in found.entries if entry.left_out}


def test_the_line_through_two_times_tells_the_whole():
    assert extrapolated([(100, 1.0), (200, 1.5)], 1000) == pytest.approx(1.5 + 0.005 * 800)
    assert extrapolated([(100, 1.0), (200, 2.0)], 3000) == pytest.approx(30.0)  # in proportion
    assert extrapolated([(100, 1.0), (200, 1.0)], 10**9) == 1.0  # the same whatever the ratings
    assert extrapolated([(100, 1.0), (200, 0.8)], 10**9) == 1.0  # a clock that was disturbed
    assert extrapolated([(100, 0.0), (100, 0.0)], 500) == 0.0
    assert extrapolated([(100, 0.5)], 1000) == 5.0


def test_few_ratings_are_compared_without_estimates(likes, monkeypatch):
    Sleeps.sizes.clear()
    found = compare(*likes, [Sleeps()], n_bootstrap=5)
    assert Sleeps.sizes == [len(likes[0])]
    assert not left_out_of(found)
    assert found.n_tested is None


@pytest.mark.parametrize("seconds", [5000.0, 10.0])
def test_estimates_are_those_of_samples_of_whole_users(likes, small_samples, seconds):
    """Of two samples, or of one where the fit is quick in proportion to it."""
    train = likes[0]
    Sleeps.sizes.clear()
    plan = Budget(10.0, n_scores=1000)
    assert plan.plan({"some": Sleeps(seconds=seconds)}, train, lambda _: None) == {}
    expected = seconds * len(train) / 1e6 + 1000 * budget.SECONDS_PER_SCORE
    assert plan.needs["some"].seconds == pytest.approx(expected, rel=1e-6)
    assert len(Sleeps.sizes) == (2 if seconds > 1000 else 1)
    counts = np.sort(train.by_user().counts)
    for size, wanted in zip(Sleeps.sizes, budget.SAMPLES, strict=False):
        assert wanted <= size <= wanted + counts[-1]


def test_a_sample_holds_some_users_with_all_that_is_theirs_and_no_others():
    frame = palate.datasets.synthetic(50, 20, 600, seed=2).to_frame()
    users = pl.DataFrame({"user": frame["user"].unique(maintain_order=True)}).with_row_index("age")
    times = frame.with_columns(time=pl.int_range(1000, 1000 + len(frame)))
    whole = palate.read(times, users=users)
    some = of_some_users(whole, 90)
    assert 90 <= len(some) < 150
    assert set(some.user_vocabulary) == set(some.to_frame()["user"])
    assert set(some.item_vocabulary) == set(some.to_frame()["item"])
    own = whole.to_frame().filter(pl.col("user").is_in(list(some.user_vocabulary)))
    assert some.to_frame().sort("user", "item").equals(own.sort("user", "item"))
    ages = dict(users.select("user", "age").iter_rows())
    assert some.user_table["age"].to_list() == [ages[user] for user in some.user_vocabulary]


def test_what_would_not_end_is_left_out_and_said_so(likes, small_samples, capsys):
    recipes = {"quick": Sleeps(), "slow": Sleeps(seconds=1e6), "popular": palate.Popularity()}
    Sleeps.sizes.clear()
    seen = []
    found = compare(*likes, recipes, seconds=60, n_bootstrap=5, progress=True, callback=seen.append)
    assert list(left_out_of(found)) == ["slow"]
    assert re.fullmatch(
        r"it would take about .*, and there is time for .* more, of 60 seconds in all; "
        r"give more seconds, or compare fewer recipes\.",
        found["slow"].left_out,
    )
    assert max(Sleeps.sizes) == len(likes[0])  # of the quick one; of the slow one there were samples only
    assert len(Sleeps.sizes) == 4  # the quick one needs one sample only
    assert [entry.name for entry in seen] == ["quick", "slow", "popular"]
    assert found.entries[-1].name == "slow" and not found["slow"].is_measured and found["quick"].is_measured
    assert found.notes[-1] == f"slow was left out: {found['slow'].left_out}" == str(found).splitlines()[-1]
    assert found.columns()["seconds"][-1] is None
    frame = found.to_frame()
    assert frame.filter(recipe="slow")["left_out"].item() == found["slow"].left_out
    assert frame.filter(recipe="slow")["ndcg@10"].item() is None
    assert frame["left_out"].null_count() == 2 and frame["failed"].null_count() == 3
    assert found.to_dict()["entries"][-1]["left_out"] == found["slow"].left_out
    told = capsys.readouterr().err
    assert "how long slow takes" in told and "2 of 3: slow is left out: it would take" in told


def test_the_quickest_are_compared_first(likes, small_samples):
    """Each would end in the time, but not all of them."""
    whole = 1e6 / len(likes[0])  # Sleeps(seconds=whole) takes a second
    names = {f"{seconds} s": Sleeps(seconds=whole * seconds) for seconds in (50, 5, 30)}
    left_out = Budget(70.0, n_scores=0).plan(names, likes[0], lambda _: None)
    assert list(left_out) == ["50 s"]
    assert "about 50 seconds" in left_out["50 s"]


def test_too_much_memory_is_left_out(likes):
    found = compare(*likes, {"large": Large(), "popular": palate.Popularity()}, n_bootstrap=5)
    assert "would need about 1e+09 GB, and this machine has" in found["large"].left_out
    alone = compare(*likes, {"large": Large()}, n_bootstrap=5)
    with pytest.raises(OptionError, match="every recipe was left out; large: it would need"):
        _ = alone.best


def test_no_more_than_a_quarter_of_the_time_goes_into_estimates(likes, small_samples):
    plan = Budget(10.0, n_scores=0)
    plan._start -= 2.6
    left_out = plan.plan({"popular": palate.Popularity(), "blend": palate.Blend()}, likes[0], lambda _: None)
    assert left_out["popular"] == (
        "a quarter of the 10 seconds in all was over before it was estimated; give more seconds."
    )
    assert list(left_out) == ["popular", "blend"]


def test_a_blend_takes_twice_what_its_parts_take(likes, small_samples, monkeypatch):
    monkeypatch.setattr(palate.SparseEASE, "seconds_needed", lambda *_: 3.0)
    monkeypatch.setattr(palate.ImplicitALS, "seconds_needed", lambda *_: 4.0)
    plan = Budget(1000.0, n_scores=0)
    assert plan.plan({"blend": palate.Blend(), "sparse": palate.SparseEASE()}, likes[0], lambda _: None) == {}
    assert (plan.needs["blend"].seconds, plan.needs["sparse"].seconds) == (14.0, 3.0)


@pytest.mark.parametrize("recipe", [palate.EASE(), palate.SparseEASE()], ids=["EASE", "SparseEASE"])
def test_a_recipe_that_can_tell_is_not_fitted(recipe, likes, small_samples, monkeypatch):
    monkeypatch.setattr(type(recipe), "_fit", None)
    plan = Budget(1000.0, n_scores=0)
    assert plan.plan({"some": recipe}, likes[0], lambda _: None) == {}
    assert 0 <= plan.needs["some"].seconds < 60


def test_where_ease_goes_on_as_sparse_ease_that_is_what_it_takes(likes, monkeypatch):
    monkeypatch.setattr("palate.recipes.ease.PATIENCE", -1)
    monkeypatch.setattr(palate.SparseEASE, "seconds_needed", lambda *_: 7.0)
    assert palate.EASE().seconds_needed(likes[0]) == 7.0
    assert palate.EASE(memory="1GB").seconds_needed(likes[0]) < 7.0


def test_a_recipe_whose_turn_comes_too_late_is_left_out(likes):
    """Estimates may be wrong: what is left of the time is looked at before each fit."""
    found = compare(*likes, {"slow": Sleeps(seconds=800.0), "late": palate.Popularity()}, seconds=0.4, n_bootstrap=5)
    assert found["slow"].is_measured
    assert "there is time for 1 second more, of 1 second in all" in found["late"].left_out


def test_without_a_limit_everything_is_compared(likes, small_samples):
    Sleeps.sizes.clear()
    found = compare(*likes, [Sleeps()], seconds=None, n_bootstrap=5)
    assert Sleeps.sizes == [len(likes[0])]
    assert found.best.is_measured


def test_what_fails_on_a_sample_fails_in_the_comparison(likes, small_samples):
    recipes = {"als": palate.ALS(), "breaks": Breaks(), "popular": palate.Popularity()}
    found = compare(*likes, recipes, n_bootstrap=5)
    assert "implicit feedback" in found["als"].failed
    assert found["breaks"].failed == "RuntimeError: a bug"
    assert found.best.name == "popular"


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "long", True])
def test_seconds_that_are_none(likes, wrong):
    with pytest.raises(OptionError, match="seconds must be a number above 0, or None"):
        compare(*likes, ["Popularity"], seconds=wrong)


def test_users_are_drawn_where_there_are_too_many_pairs(likes, monkeypatch):
    train, test = likes
    monkeypatch.setattr(budget, "MIN_TESTED", 7)
    monkeypatch.setattr(budget, "MAX_SCORES", 20 * train.n_items)
    some = drawn(test, train.n_items)
    users = np.unique(some.user_codes)
    assert len(users) == 20 < len(np.unique(test.user_codes))
    for user in users:  # all of whose test ratings are kept
        assert (some.user_codes == user).sum() == (test.user_codes == user).sum()
    np.testing.assert_array_equal(np.unique(drawn(test, train.n_items).user_codes), users)
    found = compare(train, test, ["Popularity"], n_bootstrap=5)
    assert found.n_tested == 20 and found.n_test == len(some)
    assert f"{len(some):,} to test on (of 20 users, drawn at random);" in found.heading
    assert found.to_dict()["n_tested"] == 20
    expected = palate.evaluate(palate.Popularity().fit(train), some, baselines=False)["ndcg@10"]
    assert found["Popularity"].report["ndcg@10"] == expected
    monkeypatch.setattr(budget, "MAX_SCORES", 1)
    assert len(np.unique(drawn(test, train.n_items).user_codes)) == 7
    whole = compare(train, test, ["Popularity"], seconds=None, n_bootstrap=5)
    assert whole.n_tested is None and whole.n_test == len(test)
    stars = palate.datasets.synthetic(20, 10, 100, seed=1)
    assert drawn(stars, 10) is stars  # errors of predictions rank nothing


def test_of_next_items_each_event_is_a_list(likes, monkeypatch):
    train, test = likes
    monkeypatch.setattr(budget, "MIN_TESTED", 7)
    monkeypatch.setattr(budget, "MAX_SCORES", 50 * train.n_items)
    some = drawn(test, train.n_items, each_event=True)
    n_users = len(np.unique(some.user_codes))
    assert n_users == 50 * len(np.unique(test.user_codes)) // len(test)
    for user in np.unique(some.user_codes):
        assert (some.user_codes == user).sum() == (test.user_codes == user).sum()
    found = compare(train, test, ["Popularity"], next_item=True, n_bootstrap=5)
    assert (found.n_tested, found.n_test) == (n_users, len(some)) and found.best.report.n == len(some)
    assert len(drawn(test[:0], train.n_items, each_event=True)) == 0


@pytest.mark.parametrize("recipe", [kind() for kind in palate.recipes.RECIPES.values()], ids=lambda r: type(r).__name__)
def test_every_recipe_says_what_memory_it_needs(recipe):
    """More for more users and items; and less than nobody has, for a small set."""
    small, large = (palate.datasets.synthetic(n, n, 10 * n, seed=1) for n in (60, 600))
    if "explicit" not in recipe.kinds:
        small, large = small.likes(at_least=1), large.likes(at_least=1)
    assert isinstance(recipe, Recipe)
    assert 0 < recipe.bytes_needed(small) < recipe.bytes_needed(large) < 10**8


@pytest.mark.long
def test_a_large_set_ends_in_bounded_time():
    """300,000 users, 100,000 items, 3 million likes: what there is no time for is left out, with the reason."""
    rng = np.random.default_rng(0)
    n_users, n_items, n = 300_000, 100_000, 3_000_000
    items = (n_items * rng.random(n) ** 3).astype(np.int64)
    frame = pl.DataFrame({"user": rng.integers(0, n_users, n), "item": items}).unique(maintain_order=True)
    train, test = palate.split_within_users(palate.read(frame, kind="implicit"), test=0.2, seed=0)
    seconds = 150.0
    start = time.perf_counter()
    found = compare(train, test, seconds=seconds, n_bootstrap=20, progress=False)
    took = time.perf_counter() - start
    assert {entry.name for entry in found.entries} >= {"Blend", "SparseEASE", "ImplicitALS", "Popularity"}
    assert all(entry.is_measured or entry.left_out for entry in found.entries)
    assert found.n_tested == max(budget.MIN_TESTED, budget.MAX_SCORES // found.n_items)
    assert took < 2 * seconds
