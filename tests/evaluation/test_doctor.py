"""The data doctor on the order of events: where it matters, where it does not, and where nothing is said."""

import numpy as np
import pytest

import palate
from helpers.ordered import Ordered
from palate.data.checking import checked
from palate.errors import OptionError
from palate.evaluation import doctor
from palate.evaluation.doctor import order_finding

LETTERS = 40


def walks(n_users=150, n=12, *, times=True, shuffled=False, seed=0):
    """Users who walk along the alphabet from letters of their own, one letter a minute; or the same ones shuffled."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, LETTERS, n_users)
    items = (starts[:, None] + np.arange(n)) % LETTERS
    items = rng.permuted(items, axis=1) if shuffled else items
    columns = {"user": np.repeat(np.arange(n_users), n), "item": items.ravel()}
    columns |= {"time": np.tile(np.arange(n) * 60, n_users)} if times else {}
    return palate.read(columns, kind="implicit")


@pytest.fixture
def with_toy(monkeypatch):
    monkeypatch.setattr(doctor, "Sequence", Ordered)


def test_order_matters_where_the_last_item_tells_the_next_one():
    found = order_finding(walks(), Ordered())
    assert found.name == "order" and found.severity == "info"
    assert found.says.startswith("Order matters: order-aware 1.000, order-blind 0.")
    assert "on the last items of 150 users (Ordered and " in found.says
    assert found.do == "palate.Ordered() learns from it."


def test_the_figures_are_those_of_evaluate_on_the_last_items():
    ratings = walks(shuffled=True)
    inner, last = palate.split_last(ratings)
    blind = {
        recipe: palate.evaluate(getattr(palate, recipe)().fit(inner), last, next_item=True)["ndcg@10"]
        for recipe in ("EASE", "Popularity")
    }
    name = max(blind, key=blind.get)
    says = order_finding(ratings, Ordered()).says
    assert f"order-blind {blind[name]:.3f} NDCG@10" in says and f"Ordered and {name}" in says


def test_order_does_not_matter_where_it_is_chance():
    found = order_finding(walks(shuffled=True), Ordered())
    assert found.says.startswith("Order does not matter here: order-aware 0.") and found.do == ""


def test_a_recipe_that_is_no_better_is_told_so():
    """The standard error decides, and the same recipe is not better than itself."""
    assert order_finding(walks(), palate.EASE()).says.startswith("Order does not matter here")


def test_two_standard_errors_decide():
    blind, gains = np.full(400, 0.25), np.where(np.arange(400) % 2, 0.5, -0.5)
    error = gains.std(ddof=1) / 20
    for gain, begins in ((1.9 * error, "Order does not matter here: "), (2.1 * error, "Order matters: ")):
        says = doctor._told(doctor.Foreseen("A", blind + gain + gains), doctor.Foreseen("B", blind)).says
        assert says.startswith(f"{begins}order-aware {0.25 + gain:.3f}, order-blind 0.250 NDCG@10 on the last items")
        assert says.endswith(f"of 400 users (A and B; difference {gain:.3f}, standard error {error:.3f}).")


@pytest.mark.usefixtures("with_toy")
def test_only_choices_with_an_order_are_looked_at():
    assert "order" in palate.check(walks())
    assert "order" not in palate.check(walks(), order=False)
    assert "order" not in palate.check(walks(times=False))
    assert palate.check(walks(times=False), order=True)["order"].says.startswith("Order matters")
    stars = palate.datasets.synthetic(60, 40, 1200, seed=1)
    assert "order" not in palate.check(stars)
    with pytest.raises(OptionError, match="order=True looks at the order of choices, and these are ratings"):
        palate.check(stars, order=True)
    with pytest.raises(OptionError, match="order must be True or False"):
        palate.check(walks(), order="yes")
    frame = walks().to_frame()
    plain = checked(frame, {"kind": "implicit"})[0]
    found = palate.check(frame, kind="implicit")
    assert found.findings[:-1] == plain.findings and found.findings[-1].name == "order"
    assert found.source == plain.source


@pytest.mark.usefixtures("with_toy")
def test_hostile_ratings_say_nothing_of_order():
    assert "order" not in palate.check(walks(n_users=99))  # too few users
    assert "order" in palate.check(walks(n_users=100))
    assert "order" not in palate.check(walks(n=1))  # nobody has two events
    assert "order" not in palate.check(walks()[:0])
    assert palate.check({"user": [1, "a"], "item": [1, 2]}, kind="implicit").worst == "problem"
    one_item = palate.read({"user": np.repeat(np.arange(120), 2), "item": ["x"] * 240, "time": range(240)},
                           kind="implicit", duplicates="keep")  # fmt: skip
    assert palate.check(one_item, order=True)["size"].severity == "problem"


def test_large_ratings_are_looked_at_in_part(monkeypatch):
    monkeypatch.setattr(doctor, "EVENTS", 1400)
    says = order_finding(walks(n_users=300), Ordered()).says
    n = int(says.split("on the last items of ")[1].split()[0])
    assert 1400 / 12 <= n <= 1400 / 12 + 2
