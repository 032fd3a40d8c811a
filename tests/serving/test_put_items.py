"""Items that are put are known at once, and after a new start."""

import numpy as np
import polars as pl
import pytest

import palate
from helpers.serving import ADMIN, titled
from palate.serving.gathering import gather


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A model that has learned from genres."""
    path = tmp_path_factory.mktemp("put") / "genres.palate"
    palate.Bayes(n_sweeps=20).fit(titled()).save(path)
    return path


NEW = {
    "item": "i900",
    "attributes": {"title": "Something New (2026)", "genre": "western", "year": 2026, "colour": "red"},
}


def put(client, *items):
    return client.ask("PUT", "/v1/items", json=list(items), headers=ADMIN)


def test_a_new_item_can_be_recommended_at_once(ask, file):
    client = ask(file)
    assert put(client, NEW).json() == {"kept": 1}
    (one,) = client.get("/v1/users/u1/recommendations", where="year >= 2026")["items"]
    assert (one["item"], one["title"]) == ("i900", "Something New (2026)")
    assert one["low"] < one["score"] < one["high"]
    (by_title,) = client.post("/v1/recommendations", [{"likes": {"Something New (2026)": 5}, "n": 1}])
    assert by_title["items"]


def test_a_known_item_gets_the_attributes(ask, file):
    client = ask(file)
    put(client, {"item": "i1", "attributes": {"genre": "opera"}})
    items = client.get("/v1/users/u1/recommendations", where="genre = 'opera'", keep_seen=True)["items"]
    assert [one["item"] for one in items] == ["i1"]
    assert items[0]["title"].startswith("The Film 1 ")


def test_it_is_there_after_a_new_start_and_a_reload(ask, file):
    put(ask(file), NEW)
    client = ask(file)
    for _ in range(2):
        assert client.get("/v1/users/u1/recommendations", where="year >= 2026")["items"][0]["item"] == "i900"
        assert client.ask("POST", "/admin/reload", headers=ADMIN).status_code == 200


def test_feedback_on_it_counts_in_the_next_answer(ask, file):
    client = ask(file)
    put(client, NEW)
    client.post("/v1/feedback", [{"id": "a", "user": "ann", "item": "i900", "value": 5}])
    answer = client.get("/v1/users/ann/recommendations")
    assert answer["known"] is True
    assert "i900" not in [one["item"] for one in answer["items"]]


def test_administration_alone_may(ask, file):
    client = ask(file)
    assert client.ask("PUT", "/v1/items", json=[NEW]).status_code == 403
    assert client.ask("PUT", "/v1/items", json=[{"item": "i1"}], headers=ADMIN).status_code == 422


def test_a_fit_learns_what_was_put_and_misses_values_of_other_types(ask, file):
    client = ask(file)
    odd = {"item": "i901", "attributes": {"title": ["a", "list"], "genre": {"of": "things"}, "year": "soon"}}
    put(client, NEW, odd, {"item": "i1", "attributes": {"genre": "opera"}})
    rated = [{"id": f"e{n}", "user": "ann", "item": item, "value": 4} for n, item in enumerate(("i900", "i901"))]
    client.post("/v1/feedback", rated)
    store = client.service.store
    before = palate.load(file).model
    ratings = gather(before, store, store.last(), None).ratings()
    table = dict(zip(ratings.item_vocabulary.labels.tolist(), ratings.item_table.to_dicts(), strict=True))
    assert table["i900"]["genre"] == "western"
    assert [table["i901"][name] for name in ("title", "genre", "year")] == [None, None, None]
    i1 = before.item_table.to_dicts()[before.item_vocabulary.encode_one("i1")]
    assert table["i1"] == i1 | {"genre": "opera"}


@pytest.fixture(scope="module")
def file_of_vectors(tmp_path_factory):
    """A model that has learned from vectors of items."""
    path = tmp_path_factory.mktemp("put") / "vectors.palate"
    ratings = titled()
    rng = np.random.default_rng(0)
    table = ratings.item_table.with_columns(
        emb=rng.normal(size=(ratings.n_items, 4)), item=pl.Series(ratings.item_vocabulary.labels.tolist())
    )
    palate.Bayes(n_sweeps=10).fit(ratings.with_items(table)).save(path)
    return path


def test_vectors_are_put_and_learned_but_not_sent(ask, file_of_vectors):
    client = ask(file_of_vectors)
    right = {"item": "i900", "attributes": {"title": "New (2026)", "year": 2026, "emb": [1, 0, 0.5, 2]}}
    short = {"item": "i901", "attributes": {"title": "Newer (2026)", "year": 2026, "emb": [1]}}
    known = {"item": "i1", "attributes": {"emb": [0, 0, 0, 1]}}
    assert put(client, right, short, known).json() == {"kept": 3}
    listed = client.get("/v1/users/u1/recommendations", where="year >= 2026")["items"]
    assert {one["item"] for one in listed} == {"i900", "i901"}
    (shown,) = [one for one in client.get("/v1/items", query="New (2026)")["items"] if one["item"] == "i900"]
    assert shown["attributes"]["year"] == 2026
    assert "emb" not in shown["attributes"]
    rated = [{"id": f"e{n}", "user": "ann", "item": item, "value": 4} for n, item in enumerate(("i900", "i901"))]
    client.post("/v1/feedback", rated)
    store = client.service.store
    ratings = gather(palate.load(file_of_vectors).model, store, store.last(), None).ratings()
    table = dict(zip(ratings.item_vocabulary.labels.tolist(), ratings.item_table["emb"].to_list(), strict=True))
    assert table["i900"] == [1, 0, 0.5, 2]
    assert table["i901"] is None
    assert table["i1"] == [0, 0, 0, 1]
    assert (
        palate.Bayes().side_information(ratings)["item"][0].attributes.report["emb"].startswith("vectors of 4 numbers")
    )
