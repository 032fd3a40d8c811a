"""Items over HTTP: rows and search, what a model says that it can do, and the map of tastes."""

import datetime
import math

import numpy as np
import polars as pl
import pytest

import palate
from helpers.page_server import app_of, asking
from palate.answers.axes import principal_axes_of
from palate.data.titles import titles
from palate.serving.people import described, row_of
from palate.serving.tables import columns_of

RATINGS = palate.datasets.synthetic(n_users=80, n_items=40, n_ratings=1_500, n_factors=2, seed=1)
CHOICES = palate.datasets.synthetic(n_users=80, n_items=40, n_ratings=1_200, kind="implicit", seed=1)
TABLE = {
    "title": [f"Film {at}" for at in range(40)],
    "genres": [("Drama", "Comedy|Drama", "Sci-Fi", None)[at % 4] for at in range(40)],
    "words": [[["old", "long"], ["new"], [], None][at % 4] for at in range(40)],
    "year": [1980 + at for at in range(40)],
    "length": [math.nan, 90.0, 90.0, None] * 10,
    "colour": [True, False, None, True] * 10,
    "first_shown": [datetime.date(2000, 1, 1 + at % 28) for at in range(40)],
    "imdb_id": list(range(40)),
    "plot": [f"A story of {at} things" for at in range(40)],
    "studio": [f"studio {at % 3} " for at in range(40)],
    "anything": [f"word {at}|word {at + 100}" for at in range(40)],
}


def with_table(ratings):
    return ratings.with_items(pl.DataFrame({"item": ratings.item_vocabulary.labels.tolist(), **TABLE}))


@pytest.fixture(scope="module")
def rec():
    return palate.Bayes(n_sweeps=15).fit(with_table(RATINGS))


@pytest.fixture(scope="module")
def ask(rec):
    return asking(app_of(rec))


# ---- rows ----------------------------------------------------------------------------------------------------------


def test_pages_show_every_item_once_the_most_rated_first(ask, rec):
    pages = [ask(f"/v1/items?n=15&offset={offset}").json() for offset in (0, 15, 30)]
    items = [item for page in pages for item in page["items"]]
    assert {page["total"] for page in pages} == {rec.n_items}
    assert sorted(item["item"] for item in items) == sorted(rec.model.item_vocabulary.labels.tolist())
    counts = [item["n_ratings"] for item in items]
    assert counts == sorted(counts, reverse=True) and sum(counts) == len(RATINGS)
    assert ask("/v1/items?offset=100").json()["items"] == []


@pytest.mark.parametrize("query", ["film 1", "FILM 12", "zzz", "fim 3"])
def test_a_search_finds_what_find_finds(ask, rec, query):
    answer = ask(f"/v1/items?n=7&query={query}").json()
    assert [item["item"] for item in answer["items"]] == rec.find(query, 7)["item"].to_list()
    assert answer["total"] is None


def test_rows_are_those_of_the_table_as_json_has_them(ask):
    labels = [f"i{at}" for at in range(4)]
    answer = ask("/v1/items?" + "&".join(f"item={label}" for label in [*labels, "nobody"])).json()
    assert [item["item"] for item in answer["items"]] == labels
    table = pl.DataFrame(TABLE)
    for at, item in enumerate(answer["items"]):
        row = table.row(at, named=True)
        row |= {"first_shown": str(row["first_shown"]), "length": row["length"] if at in (1, 2) else None}
        assert item["attributes"] == row and item["title"] == row["title"]


def test_conditions_choose_items(ask):
    answer = ask("/v1/items?n=100&where=year >= 2000 AND colour").json()
    shown = pl.DataFrame(TABLE).filter((pl.col("year") >= 2000) & pl.col("colour"))
    assert answer["total"] == len(shown)
    assert {item["title"] for item in answer["items"]} == set(shown["title"])
    assert ask("/v1/items?where=nothing = 1").status_code == 422


def test_labels_that_are_numbers_are_found_as_texts():
    ratings = palate.read({"user": ["a", "a", "b"], "item": [7, 8, 7], "rating": [1.0, 5.0, 3.0]})
    ask = asking(app_of(palate.Bias().fit(ratings)))
    answer = ask("/v1/items?item=8&item=x&item=7&item=9").json()
    assert [item["item"] for item in answer["items"]] == [8, 7]
    assert ask("/v1/model").json()["item_labels"] == "integer"


# ---- columns -------------------------------------------------------------------------------------------------------


def test_columns_say_what_one_can_filter_by(rec):
    columns = {column.name: column for column in columns_of(rec.model)}
    kinds = {name: column.type for name, column in columns.items()}
    assert kinds == {
        "title": "title",
        "genres": "words",
        "words": "list",
        "year": "number",
        "length": "number",
        "colour": "boolean",
        "first_shown": "other",
        "imdb_id": "other",
        "plot": "text",
        "studio": "text",
        "anything": "words",
    }
    assert titles(rec.model.item_table) == TABLE["title"]
    assert (columns["year"].low, columns["year"].high) == (1980, 2019)
    assert columns["length"].low == columns["length"].high == 90
    values = {name: {one.value: one.n_items for one in column.values} for name, column in columns.items()}
    assert values["genres"] == {"Comedy": 10, "Drama": 20, "Sci-Fi": 10}
    assert values["words"] == {"long": 10, "new": 10, "old": 10}
    assert values["studio"] == {"studio 0": 14, "studio 1": 13, "studio 2": 13}
    assert values["anything"] == {} and len(values["plot"]) == 40


def test_a_model_without_a_table_has_no_columns():
    assert columns_of(palate.Bias().fit(RATINGS).model) == []


# ---- what a model can do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "ratings"),
    [(palate.Bayes(n_sweeps=10), RATINGS), (palate.ALS(), RATINGS), (palate.Bias(), RATINGS), (palate.SGD(), RATINGS),
     (palate.EASE(), CHOICES), (palate.ImplicitALS(), CHOICES), (palate.BPR(n_epochs=2), CHOICES),
     (palate.Neighbors(), RATINGS), (palate.ALS(n_factors=1), RATINGS), (palate.EASE(), RATINGS.likes(4))],
    ids=lambda one: repr(one)[:24],
)  # fmt: skip
def test_a_model_can_do_what_it_says(recipe, ratings):
    ask = asking(app_of(recipe.fit(ratings)))
    model = ask("/v1/model").json()
    user = {"session": ["i1", "i2"]} if model["takes"] == "choices" else {"likes": {"i1": 5, "i2": 1}}

    def lists(**options):
        (answer,) = ask("/v1/recommendations", [{**user, "n": 3, **options}]).json()
        return answer.get("items")

    for by in ("mean", "lower", "thompson", "chance", "likely"):
        needed = {"at_least": 4} if by == "chance" else {}
        assert (lists(by=by, **needed) is not None) == (by in model["by"])
    (first, *_) = lists(at_least=4)
    assert (first["low"] is not None) == (model["has_intervals"] and model["predicts_ratings"])
    assert (first["chance"] is not None) == model["has_chances"]
    assert (first["prediction"] is not None) == model["predicts_ratings"]
    assert (lists(explain=True) is not None) == model["can_explain"]
    assert (ask("/v1/ask", {"likes": {}}).status_code == 200) == model["can_ask"]
    assert (ask("/v1/map").status_code == 200) == model["can_map"]
    assert (ask("/v1/map/position", user).status_code == 200) == model["can_map"]
    assert (model["n_users"], model["n_items"]) == (80, 40) and model["n_ratings"] == len(ratings)
    if model["takes"] == "choices":
        assert model["scale"] is None
    else:
        assert model["scale"] == {"low": 1, "high": 5, "step": 1, "values": [1, 2, 3, 4, 5]}


def test_a_scale_of_many_values_is_not_listed():
    ratings = palate.datasets.synthetic(n_users=30, n_items=20, n_ratings=400, step=None, seed=1)
    scale = asking(app_of(palate.Bias().fit(ratings)))("/v1/model").json()["scale"]
    assert scale["values"] == [] and scale["low"] < scale["high"]


def test_the_prediction_is_the_same_whatever_ranks_the_list(ask):
    lists = {
        by: ask("/v1/recommendations", [{"likes": {"i3": 5}, "n": 40, "by": by}]).json()[0]["items"]
        for by in ("mean", "lower", "thompson", "likely")
    }
    assert [one["prediction"] for one in lists["mean"]] == [one["score"] for one in lists["mean"]]
    expected = {one["item"]: one["score"] for one in lists["mean"]}
    for items in lists.values():
        assert {one["item"]: one["prediction"] for one in items} == pytest.approx(expected, abs=1e-4)


def test_the_first_questions_are_kept_and_those_of_others_are_their_own(ask, rec):
    def asked(likes, **options):
        return [one["item"] for one in ask("/v1/ask", {"likes": likes, "n": 4, **options}).json()["items"]]

    first = asked({})
    assert first == asked({}) == rec.fold_in({}).ask(4)["item"].to_list()
    assert asked({first[0]: 5}) == rec.fold_in({first[0]: 5}).ask(4)["item"].to_list()
    assert first[0] not in asked({}, exclude=first[:1])


# ---- the map -------------------------------------------------------------------------------------------------------


def test_the_map_places_items_on_the_principal_axes(ask, rec):
    answer = ask("/v1/map?n=10&item=i39&item=nobody").json()
    axes = principal_axes_of(rec.model, 2)
    most = [item["item"] for item in ask("/v1/items?n=10").json()["items"]]
    assert [place["item"] for place in answer["items"]] == list(dict.fromkeys([*most, "i39"]))
    codes = rec.model.item_vocabulary.encode([place["item"] for place in answer["items"]])
    found = np.array([[place["x"], place["y"]] for place in answer["items"]])
    np.testing.assert_allclose(found, axes.coordinates[codes])
    assert [axis["explained"] for axis in answer["axes"]] == pytest.approx(axes.explained.tolist())


def test_the_score_rises_most_in_your_direction():
    rec = palate.ALS(n_factors=2).fit(RATINGS)
    likes = {"i1": 5.0, "i2": 1.0, "i8": 4.0}
    ask = asking(app_of(rec))
    you = ask("/v1/map/position", {"likes": likes}).json()
    places = {one["item"]: one for one in ask("/v1/map?n=40").json()["items"]}
    vector = row_of(rec.model, described(rec.model, likes, None)).vectors[0, :-1]
    match = rec.model.factors.items[:, :-1] @ vector
    along = [places[f"i{at}"]["x"] * you["x"] + places[f"i{at}"]["y"] * you["y"] for at in range(40)]
    labels = rec.model.item_vocabulary.labels.tolist()
    matches = dict(zip(labels, match.tolist(), strict=True))
    assert np.corrcoef([matches[f"i{at}"] for at in range(40)], along)[0, 1] == pytest.approx(1, abs=1e-4)


def test_users_are_spread_as_widely_as_items(ask, rec):
    users = rec.model.user_vocabulary.labels.tolist()
    places = [ask("/v1/map/position", {"user": user}).json() for user in users]
    spread = np.mean([place["x"] ** 2 + place["y"] ** 2 for place in places])
    axes = principal_axes_of(rec.model, 2)
    assert spread == pytest.approx(np.mean(np.square(axes.coordinates[axes.fitted]).sum(axis=1)), rel=1e-4)


def test_ends_of_axes_are_named_after_what_lies_there():
    n = 60
    genres = ["Drama" if at < n // 2 else "Action" for at in range(n)]
    users, items, values = [], [], []
    for user in range(40):
        for at in range(n):
            users.append(f"u{user}")
            items.append(f"i{at:02}")
            values.append(5 if (user % 2 == 0) == (genres[at] == "Drama") else 1)
    table = pl.DataFrame({"item": [f"i{at:02}" for at in range(n)], "genres": genres})
    ratings = palate.read({"user": users, "item": items, "rating": values}).with_items(table)
    answer = asking(app_of(palate.ALS(n_factors=2).fit(ratings)))("/v1/map?n=60").json()
    first = answer["axes"][0]
    assert {first["low"]["name"].split(",")[0], first["high"]["name"].split(",")[0]} == {"Drama", "Action"}
    sides = {place["item"]: place["x"] > 0 for place in answer["items"]}
    for end, is_high in (("low", False), ("high", True)):
        word = first[end]["name"].split(",")[0]
        assert all(sides[f"i{at:02}"] == is_high for at in range(n) if genres[at] == word)


def test_without_words_ends_are_named_after_their_items():
    answer = asking(app_of(palate.ALS().fit(palate.datasets.synthetic(60, 40, 900, seed=3))))("/v1/map").json()
    for axis in answer["axes"]:
        for end in (axis["low"], axis["high"]):
            assert end["name"] in {f"like {end['items'][0]}", "often rated", "rarely rated"}
