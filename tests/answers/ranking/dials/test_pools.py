"""Lists made with dials, against the formula item by item; and what must not change them."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.ranking import RecommendOptions, best_items, query_of
from palate.answers.ranking.dials import pools
from palate.data.rows import take_rows
from palate.errors import DataError, OptionError

GENRES = ["a|b", "b", None, "c", "a|c", "d", "b|c|d", "", "a", "e"]
TABLE = {
    "item": [f"i{n}" for n in range(40)],
    "genres": [GENRES[n % 10] for n in range(40)],
    "margin": [None if n % 7 == 3 else float((n * 13) % 10) for n in range(40)],
    "title": [f"Film {n}" for n in range(40)],
    "empty": [None] * 40,
}
DATA = palate.datasets.synthetic(50, 40, 700, seed=3).with_items(TABLE)
LIKES = palate.datasets.synthetic(50, 40, 500, seed=4, kind="implicit").with_items(TABLE)
SMALL = 12  # items of a pool, so that catalogues of 40 go on behind it


@pytest.fixture(scope="module")
def als():
    return palate.ALS(n_factors=4, n_sweeps=3).fit(DATA, progress=False)


@pytest.fixture(scope="module")
def ease():
    return palate.EASE(weight_decay=5).fit(LIKES, progress=False)


@pytest.fixture
def small_pools(monkeypatch):
    monkeypatch.setattr(pools, "POOL", SMALL)


# ---- the formula, one item after the other ---------------------------------------------------------------------------


def by_hand(
    rec, user, n, size, *, diversity=0.0, diversity_by=None, popularity=0.0, calibrated=(), boost=(), most=None
):
    """A list by the formula in dials/__init__.py, from nothing but the ranking and the table."""
    model = rec.model
    ranking = rec.recommend(user, n=40)
    codes = model.item_vocabulary.encode(ranking["item"].to_list()).tolist()
    scores = dict(zip(codes, ranking["score"].to_list(), strict=True))
    pool, rest, chosen = codes[:size], codes[size:], []
    classes = [set(filter(None, (text or "").split("|"))) for text in TABLE["genres"]]
    counts = np.bincount(model.history.indices, minlength=40).astype(float)
    sizes = dict(calibrated)
    own, _ = model.history.row(model.user_vocabulary.encode_one(user)) if user in model.user_vocabulary else ([], [])

    def place(values, item, normal):
        higher = sum(values[other] > values[item] for other in pool if values[other] is not None)
        return 1 - math.log(1 + higher) / normal

    def lift(values, item):
        known = [other for other in pool if values[other] is not None]
        most_higher = max((sum(values[o] > values[other] for o in known) for other in known), default=0)
        return 0.0 if values[item] is None or most_higher == 0 else place(values, item, math.log(1 + most_higher))

    def alike(one, other):
        if diversity_by is not None:
            either = classes[one] | classes[other]
            return len(classes[one] & classes[other]) / len(either) if either else 0.0
        if model.factors.n_factors:
            x, y = (model.factors.items[code, :-1].astype(float) for code in (one, other))
            return max(0.0, float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)))
        users = [set(np.flatnonzero([code in model.history.row(u)[0] for u in range(50)])) for code in (one, other)]
        return len(users[0] & users[1]) / math.sqrt(len(users[0]) * len(users[1]))

    def mix(items):
        parts = [(one, 1 / len(classes[item])) for item in items for one in classes[item]]
        total = sum(part for _, part in parts)
        return {name: sum(part for one, part in parts if one == name) / total for name in "abcde"} if total else {}

    def divergence(item):
        p, q = mix(own), mix([*chosen, item])
        return sum(p[g] * math.log(p[g] / (0.99 * q.get(g, 0) + 0.01 * p[g])) for g in p if p[g] > 0)

    def filled(values, free, is_known):
        known = [values[item] for item in free if is_known(item)]
        mean = sum(known) / len(known) if known else 0.0
        return {item: values[item] if is_known(item) else mean for item in free}

    lifts = [(popularity, counts.tolist())] * bool(popularity) + [(s, TABLE[name]) for name, s in boost]
    of_scores = math.prod(1 - abs(strength) for strength, _ in lifts)
    worth = {
        item: (1 - diversity)
        * math.prod(1 - s for s in sizes.values())
        * (of_scores * place(scores, item, math.log(size)) + sum(s * lift(v, item) for s, v in lifts))
        for item in pool
    }

    def is_full(item):
        return most is not None and any(sum(g in classes[c] for c in chosen) >= most for g in classes[item])

    knows = (lambda item: bool(classes[item])) if diversity_by else (lambda item: counts[item] > 0)
    while len(chosen) < n:
        free = [item for item in pool if item not in chosen and not is_full(item)]
        if not free:
            break
        near = {item: max([0.0, *(alike(item, c) for c in chosen if knows(c))]) for item in free}
        near = filled(near, free, knows) if chosen else dict.fromkeys(free, 0.0)
        far = filled({item: divergence(item) for item in free}, free, lambda item: bool(classes[item]))
        total = {
            item: worth[item] - diversity * near[item] - sum(s * (len(chosen) + 1) * far[item] for s in sizes.values())
            for item in free
        }
        chosen.append(max(free, key=lambda item: (round(total[item], 5), -pool.index(item))))
    for item in rest:
        if len(chosen) < n and not is_full(item):
            chosen.append(item)
    return [f"i{item}" for item in chosen]


ASKED = [
    {"diversity": 0.5},
    {"diversity": 1.0},
    {"diversity": 0.6, "diversity_by": "genres"},
    {"popularity": 0.4},
    {"popularity": -1},
    {"calibrated": {"genres": 0.2}},
    {"boost": {"margin": 0.4}},
    {"boost": {"margin": -0.3}, "popularity": 0.2},
    {"diversity": 0.3, "popularity": -0.3, "calibrated": {"genres": 0.1}, "boost": {"margin": 0.2}},
]


@pytest.mark.parametrize("model", ["als", "ease"])
@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("most", [None, 2])
def test_a_list_is_that_of_the_formula(small_pools, request, model, asked, most):
    rec = request.getfixturevalue(model)
    options = asked if most is None else asked | {"max_per": {"genres": most}}
    given = {name: list(value.items()) if isinstance(value, dict) else value for name, value in asked.items()}
    for user in ("u1", "u7", "u20"):
        found = rec.recommend(user, n=16, **options)
        assert found["item"].to_list() == by_hand(rec, user, 16, SMALL, **given, most=most)


def test_behind_the_pool_the_ranking_goes_on(small_pools, als):
    plain = als.recommend("u3", n=40)["item"].to_list()
    found = als.recommend("u3", n=40, diversity=0.8, popularity=-0.5)["item"].to_list()
    assert sorted(found[:SMALL]) == sorted(plain[:SMALL]) and found[:SMALL] != plain[:SMALL]
    assert found[SMALL:] == plain[SMALL:]


# ---- what must not change a list -------------------------------------------------------------------------------------

EVERY = {"diversity": 0.4, "popularity": -0.2, "calibrated": "genres", "boost": {"margin > 3": 0.1}}


@pytest.mark.parametrize(
    "more", [{}, {"max_per": {"genres": 2}}, {"where": "margin > 1"}, {"keep_seen": True}], ids=str
)
def test_shorter_lists_are_the_beginning_of_longer_ones(als, more):
    """A server answers requests of different lengths by one list."""
    longest = als.recommend(["u1", "u2"], n=40, **EVERY, **more)
    for n in (0, 1, 5, 17):
        assert als.recommend(["u1", "u2"], n=n, **EVERY, **more).equals(longest.filter(pl.col("rank") <= n))


@pytest.mark.parametrize(
    "recipe", [palate.ALS(n_factors=3), palate.Bayes(n_sweeps=8), palate.Neighbors(), palate.Bias()]
)
def test_everybody_gets_the_list_of_one(recipe, monkeypatch, tmp_path):
    rec = recipe.fit(DATA, progress=False)
    everyone = rec.recommend(n=6, **EVERY)
    monkeypatch.setattr(pools.Dials, "users_at_once", 3)
    users = [f"u{n}" for n in range(50)]
    assert rec.recommend(n=6, **EVERY, memory=200_000_000).equals(everyone)
    assert pl.concat([rec.recommend([user], n=6, **EVERY) for user in users]).equals(everyone)
    path = rec.recommend(n=6, **EVERY, out=tmp_path / "lists.parquet")
    assert pl.read_parquet(path).equals(everyone)


def test_a_net_takes_dials_too():
    nn = pytest.importorskip("palate.nn")
    loaders = nn.RatingLoaders.from_ratings(DATA, batch_size=64)
    net = nn.EmbeddingNet([(DATA.n_users, 3), (DATA.n_items, 3)], layers=(4,), y_range=(0.5, 5.5))
    rec = nn.from_torch(net, loaders.ratings)
    everyone = rec.recommend(n=5, **EVERY)
    assert rec.recommend(["u3"], n=5, **EVERY).equals(everyone.filter(pl.col("user") == "u3"))
    assert not everyone.equals(rec.recommend(n=5))


def test_scores_stay_those_of_the_model(als):
    plain = dict(als.recommend("u4", n=40).select("item", "score").iter_rows())
    found = als.recommend("u4", n=9, **EVERY)
    assert found["rank"].to_list() == list(range(1, 10))
    assert found["score"].to_list() == [plain[item] for item in found["item"]]


def test_only_the_order_of_the_scores_counts(als):
    """So a strength means the same for a model of stars and for one of sums of weights."""
    model = als.model
    query = query_of(model, RecommendOptions(**EVERY))
    rows = model.user_rows(np.arange(8, dtype=np.int32))
    codes, scores = best_items(model, rows, replace(query, n=40, dials=None))
    choose = pools.with_dials(query.dials, take_rows(model.history, np.arange(8)), 10, ())
    expected, _ = choose(np.arange(8), codes, scores)
    changed = np.where(codes >= 0, np.exp(3 * scores - 20), -np.inf).astype(np.float32)
    assert (choose(np.arange(8), codes, changed)[0] == expected).all()


@pytest.mark.parametrize("nothing", [{}, {"diversity": 0, "popularity": 0.0}, {"diversity_by": "genres"}, {"boost": {}},
                                     {"calibrated": {"genres": 0}}, {"boost": {"margin": 0}}], ids=str)  # fmt: skip
def test_dials_at_nothing_are_none(als, nothing):
    assert query_of(als.model, RecommendOptions(**nothing)).dials is None
    assert als.recommend("u1", **nothing).equals(als.recommend("u1"))


def test_the_item_index_and_new_users_take_dials(als):
    pytest.importorskip("faiss")
    assert als.recommend("u1", n=5, index="ann", **EVERY).equals(als.recommend("u1", n=5, **EVERY))


def test_new_users_get_the_list_of_the_same_ratings(als):
    taste = {"i2": 5, "i9": 1, "i13": 4}
    alone = als.fold_in(taste).recommend(n=6, **EVERY)
    many = als.fold_in({"ann": taste, "bob": {"i4": 2}}).recommend(n=6, **EVERY)
    assert many.filter(pl.col("user") == "ann").drop("user").equals(alone)
    assert alone["item"].to_list() != als.fold_in(taste).recommend(n=6)["item"].to_list()
    assert als.fold_in({"u1": 5, "u2": 1}, side="item").recommend(n=4, diversity=0.5, popularity=-0.4).height == 4


def test_a_run_is_not_resumed_under_other_dials(als, tmp_path, monkeypatch):
    out = tmp_path / "x.csv"

    def killed(frames, _):
        next(frames)
        raise KeyboardInterrupt

    monkeypatch.setattr("palate.answers.ranking.recommending.write", killed)
    with pytest.raises(KeyboardInterrupt):
        als.recommend(out=out, resume=True, diversity=0.2)
    with pytest.raises(OptionError, match="another diversity, popularity, calibrated or boost"):
        als.recommend(out=out, resume=True, diversity=0.3)
    with pytest.raises(OptionError, match="another diversity"):
        als.recommend(out=out, resume=True)


# ---- hostile input ---------------------------------------------------------------------------------------------------


def test_users_without_a_history_and_items_without_values(als):
    for user in ("nobody", "u1"):
        found = als.recommend([user], n=10, **EVERY)
        assert found.height == 10 and found["item"].n_unique() == 10
    blank = als.recommend("nobody", n=10, calibrated={"genres": 0.5})
    assert blank.equals(als.recommend("nobody", n=10))
    for options in ({"boost": "empty"}, {"calibrated": {"empty": 0.9}}, {"diversity": 0.9, "diversity_by": "empty"}):
        assert als.recommend("u1", **options).equals(als.recommend("u1"))


def test_lists_that_cannot_fill(als):
    seen = als.history("u1")["item"].to_list()
    others = [item for item in TABLE["item"] if item not in seen]
    assert als.recommend("u1", n=40, **EVERY).height == len(others)
    assert als.recommend("u1", n=5, exclude=others, **EVERY).height == 0
    assert als.recommend("u1", n=5, items=others[:1], **EVERY)["item"].to_list() == others[:1]
    assert als.recommend("u1", n=5, items={"u1": others[:2]}, **EVERY).height == 2
    assert als.recommend(["u1", "u2"], n=5, items={"u1": others[:2]}, **EVERY).height == 2
    assert als.recommend("u1", n=0, **EVERY).height == 0
    assert als.recommend([], **EVERY).height == 0
    assert als.recommend("u1", max_per={"genres": 0}, **EVERY)["item"].is_in(["i2", "i7", "i12", "i17", "i22", "i27",
                                                                             "i32", "i37"]).all()  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"diversity": 1.1}, OptionError, "diversity must be a number from 0 to 1"),
        ({"diversity": True}, OptionError, "diversity must be"),
        ({"diversity": float("nan")}, OptionError, "diversity must be"),
        ({"diversity": "0.3"}, OptionError, "diversity must be"),
        ({"popularity": -1.01}, OptionError, "popularity must be a number from -1 to 1"),
        ({"diversity": 0.3, "diversity_by": 3}, OptionError, "name of a column"),
        ({"diversity": 0.3, "diversity_by": "genre"}, DataError, "diversity_by: there is no column 'genre'"),
        ({"calibrated": "genre"}, DataError, "calibrated: there is no column 'genre'. The columns are"),
        ({"calibrated": {"genres": 1.5}}, OptionError, "calibrated=1.5 for 'genres': give a number from 0 to 1"),
        ({"calibrated": {"genres": None}}, OptionError, "calibrated=None for"),
        ({"calibrated": 0.3}, OptionError, "give a column"),
        ({"calibrated": ["genres"]}, OptionError, "give a column"),
        ({"boost": 0.3}, OptionError, "give a column or an expression"),
        ({"boost": {3: 0.3}}, OptionError, "give a column or an expression"),
        ({"boost": " "}, OptionError, "give a column or an expression"),
        ({"boost": {"margin": 2}}, OptionError, "boost=2 for 'margin': give a number from -1 to 1"),
        ({"boost": "price"}, DataError, "boost='price': there is no column 'price'"),
        ({"boost": "title"}, DataError, "boost='title' gives a text"),
        ({"boost": "margin +"}, DataError, "boost='margin \\+' is no condition|boost='margin \\+'"),
        ({"boost": pl.col("price")}, DataError, "there is no column 'price'"),
        ({"boost": pl.col("title")}, DataError, "not a number"),
    ],
    ids=lambda value: type(value).__name__,  # not by str: an expression's says where it is in memory
)
def test_what_is_no_dial_is_refused(als, given, error, told):
    with pytest.raises(error, match=told):
        als.recommend("u1", **given)
    with pytest.raises(error, match=told):
        als.fold_in({"i1": 4}).recommend(**given)


def test_a_model_without_a_table_says_so():
    rec = palate.Popularity().fit(palate.datasets.synthetic(9, 20, 60, seed=1, kind="implicit"), progress=False)
    for name, given in (("calibrated", "genres"), ("boost", "margin"), ("diversity_by", "genres")):
        with pytest.raises(DataError, match=f"{name}.* needs a table of items"):
            rec.recommend("u1", diversity=0.2, **{name: given})
    assert rec.recommend("u1", n=4, diversity=0.5, popularity=-0.8).height == 4


def test_expressions_of_three_kinds_are_one(als):
    expected = als.recommend("u5", boost={"margin": 0.3})
    assert als.recommend("u5", boost="margin").equals(expected)
    assert als.recommend("u5", boost=pl.col("margin") * 100).equals(expected)
    assert als.recommend("u5", boost={"margin * 2 - 1": 0.3}).equals(expected)
    met = als.recommend("u5", n=40, boost={"margin >= 5": 1.0})["item"].to_list()
    margins = dict(zip(TABLE["item"], TABLE["margin"], strict=True))
    is_met = [(margins[item] or 0) >= 5 for item in met]
    assert is_met == sorted(is_met, reverse=True) and 0 < sum(is_met) < len(met)
