"""Answers over HTTP are those of the library, and describe themselves."""

import numpy as np
import pytest

import palate
from helpers.serving import JSON

USER = "u3"
LIKES = {"i2": 5.0, "i7": 1.0, "i11": 4.0}


@pytest.fixture(scope="module")
def rec(files):
    return palate.load(files["ratings"])


def same(items, frame):
    """The items of an answer are the rows of a frame."""
    assert [one["item"] for one in items] == frame["item"].to_list()
    assert [one["rank"] for one in items] == frame["rank"].to_list()
    np.testing.assert_allclose([one["score"] for one in items], frame["score"].to_list(), atol=1e-5)
    if "title" in frame.columns:
        assert [one["title"] for one in items] == frame["title"].to_list()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 3},
        {"n": 0},
        {"by": "lower", "level": 0.5},
        {"by": "thompson", "seed": 7},
        {"by": "chance", "at_least": 4},
        {"by": "likely"},
        {"where": "year >= 1990 AND genre = 'drama'"},
        {"exclude": ["i5", "The Film 6 (1986)"]},
        {"keep_seen": True},
        {"n": 4, "max_per": "genre:1"},
        {"n": 4, "diversity": 0.4},
        {"n": 4, "diversity": 0.4, "diversity_by": "genre", "popularity": -0.3},
        {"n": 4, "calibrated": "genre:0.3", "boost": "year:0.2,genre = 'drama':-0.1", "max_per": "genre:2"},
    ],
    ids=str,
)
def test_a_list_is_that_of_recommend(ask, rec, options):
    answer = ask().get(f"/v1/users/{USER}/recommendations", **options)
    given = options | {
        name: {column: float(number) if "." in number else int(number) for column, _, number in pairs}
        for name in ("max_per", "calibrated", "boost")
        if name in options
        for pairs in [[part.rpartition(":") for part in options[name].split(",")]]
    }
    same(answer["items"], rec.recommend(USER, **given))
    assert answer["user"] == USER
    assert answer["known"] is True
    assert answer["model"].startswith("ratings@")
    assert answer["id"].startswith(answer["model"] + ".")
    assert answer["took_ms"] > 0


def test_intervals_are_those_of_predict(ask, rec):
    items = ask().get(f"/v1/users/{USER}/recommendations", n=5, level=0.5, at_least=4)["items"]
    for one in items:
        want = rec.predict(USER, one["item"], level=0.5, distribution=True)
        np.testing.assert_allclose([one["low"], one["high"]], [want.low, want.high], atol=1e-5)
        np.testing.assert_allclose(one["chance"], want.at_least(4), atol=1e-5)


def test_a_user_nobody_knows_gets_what_a_new_user_gets(ask, rec):
    answer = ask().get("/v1/users/nobody/recommendations", n=5)
    assert answer["known"] is False
    same(answer["items"], rec.recommend("nobody", n=5))


def test_requests_that_come_together_get_their_own_answers(ask, rec):
    users = [f"u{n}" for n in range(12)] + ["nobody"]
    asked = [(f"/v1/users/{user}/recommendations", {"n": 1 + at % 4}) for at, user in enumerate(users)]
    asked += [(f"/v1/users/{user}/recommendations", {"by": "lower", "n": 2}) for user in users]
    asked += [(f"/v1/users/{users[1]}/recommendations", {"exclude": ["i1", "i2"]})]
    for (path, options), answer in zip(asked, ask().together(*asked), strict=True):
        user = path.split("/")[3]
        assert answer["user"] == user
        same(answer["items"], rec.recommend(user, **options))


def test_many_at_once_known_and_described(ask, rec):
    body = [
        {"user": USER, "n": 3},
        {"likes": LIKES, "n": 4},
        {"session": ["i2", "i7"], "n": 2},
        {"user": "nobody", "n": 1},
        {"n": 1},
        {"user": USER, "where": "nothing = 1"},
        {"likes": {"i2": 500}},
        {"likes": {"no such film": 5}},
    ]
    known, liked, session, unknown, *wrong = ask().post("/v1/recommendations", body)
    same(known["items"], rec.recommend(USER, n=3))
    same(liked["items"], rec.fold_in(LIKES).recommend(n=4))
    same(session["items"], rec.fold_in({"i2": 5, "i7": 5}).recommend(n=2))
    same(unknown["items"], rec.recommend("nobody", n=1))
    assert [one["status"] for one in wrong] == [422, 422, 422, 404]


def test_intervals_of_a_new_user_are_those_of_fold_in(ask, rec):
    (answer, _) = ask().post("/v1/recommendations", [{"likes": LIKES, "n": 5}, {"user": USER, "n": 2}])
    want = rec.fold_in(LIKES).predict([one["item"] for one in answer["items"]])
    np.testing.assert_allclose([one["low"] for one in answer["items"]], want["low"], atol=1e-4)
    np.testing.assert_allclose([one["high"] for one in answer["items"]], want["high"], atol=1e-4)


def test_reasons_are_those_of_explain(ask, rec):
    (answer,) = ask().post("/v1/recommendations", [{"likes": LIKES, "n": 3, "explain": True}])
    new = rec.fold_in(LIKES)
    for one in answer["items"]:
        raising = [reason for reason in new.explain(one["item"]).because if reason.contribution > 0][:3]
        assert [reason["item"] for reason in one["reasons"]] == [reason.item for reason in raising]


def test_my_list_in_order(ask, rec):
    items = ["i9", "i4", "i30", "unheard-of"]
    answer = ask().post("/v1/rank", {"user": USER, "items": items})
    same(answer["items"], rec.recommend(USER, items=items, keep_seen=True, n=4))
    answer = ask().post("/v1/rank", {"likes": LIKES, "items": items, "by": "lower"})
    same(answer["items"], rec.fold_in(LIKES).recommend(items=items, keep_seen=True, n=4, by="lower"))


def test_predictions_are_those_of_predict(ask, rec):
    pairs = [{"user": USER, "item": "i4"}, {"user": "nobody", "item": "i4"}, {"user": USER, "item": "unheard-of"}]
    made = ask().post("/v1/predictions", {"pairs": pairs, "level": 0.8, "distribution": True})["predictions"]
    for pair, one in zip(pairs, made, strict=True):
        want = rec.predict(pair["user"], pair["item"], level=0.8, distribution=True)
        np.testing.assert_allclose([one[name] for name in ("prediction", "low", "high")], want[:3], atol=1e-5)
        np.testing.assert_allclose([*one["chances"].values()], [*want.chances.values()], atol=1e-5)
    assert [one["known"] for one in made] == [True, False, False]


def test_similar_items_and_users(ask, rec):
    client = ask()
    found = client.get("/v1/items/i4/similar", n=3, where="genre = 'drama'")
    want = rec.similar_items("i4", 3, where="genre = 'drama'")
    assert [one["label"] for one in found["similar"]] == want["item"].to_list()
    assert found["measure"] == "cosine"
    found = client.get(f"/v1/users/{USER}/similar", n=3)
    assert [one["label"] for one in found["similar"]] == rec.similar_users(USER, 3)["user"].to_list()


def test_an_explanation_adds_up(ask, rec):
    why = ask().get(f"/v1/users/{USER}/explanations/i4")
    want = rec.explain(USER, "i4").to_dict()
    assert sum(why["parts"].values()) == pytest.approx(why["prediction"])
    assert why["prediction"] == pytest.approx(want["prediction"], abs=1e-5)
    assert [one["item"] for one in why["because"]] == [one["item"] for one in want["because"]]


def test_what_to_ask_next(ask, rec):
    made = ask().post("/v1/ask", {"likes": LIKES, "n": 3, "exclude": ["i4"]})
    want = rec.fold_in(LIKES).ask(3, exclude=["i4"])
    assert [one["item"] for one in made["items"]] == want["item"].to_list()
    np.testing.assert_allclose([one["gain"] for one in made["items"]], want["gain"].to_list(), rtol=1e-3)


def test_a_model_of_likes_has_no_intervals(ask, files):
    rec = palate.load(files["likes"])
    client = ask("likes")
    answer = client.get(f"/v1/users/{USER}/recommendations", n=3)
    same(answer["items"], rec.recommend(USER, n=3))
    assert {(one["low"], one["high"]) for one in answer["items"]} == {(None, None)}
    (session, liked) = client.post("/v1/recommendations", [{"session": ["i2"], "n": 3}, {"likes": {"i2": 5}, "n": 3}])
    same(session["items"], rec.fold_in(["i2"]).recommend(n=3))
    assert liked["items"] == session["items"]


def test_scenarios_are_named_options(ask, rec):
    client = ask(scenarios={"home": {"by": "lower", "where": "year < 2000", "n": 4}})
    same(
        client.get(f"/v1/users/{USER}/recommendations", scenario="home")["items"],
        rec.recommend(USER, by="lower", where="year < 2000", n=4),
    )
    same(
        client.get(f"/v1/users/{USER}/recommendations", scenario="home", n=2)["items"],
        rec.recommend(USER, by="lower", where="year < 2000", n=2),
    )
    assert "home" in client.problem("GET", f"/v1/users/{USER}/recommendations?scenario=away", 404)


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "/v1/users/u1/recommendations?n=ten", 422, "n"),
        ("GET", "/v1/users/u1/recommendations?n=-1", 422, "0"),
        ("GET", "/v1/users/u1/recommendations?n=1001", 422, "1000"),
        ("GET", "/v1/users/u1/recommendations?many=3", 422, "many"),
        ("GET", "/v1/users/u1/recommendations?n=3&n=4", 422, "twice"),
        ("GET", "/v1/users/u1/recommendations?max_per=genre", 422, "genre:2"),
        ("GET", "/v1/users/u1/recommendations?max_per=colour:2", 422, "colour"),
        ("GET", "/v1/users/u1/recommendations?diversity=2", 422, "diversity"),
        ("GET", "/v1/users/u1/recommendations?popularity=-1.5", 422, "popularity"),
        ("GET", "/v1/users/u1/recommendations?diversity=0.1&diversity_by=colour", 422, "colour"),
        ("GET", "/v1/users/u1/recommendations?calibrated=genre", 422, "calibrated=genre:0.3"),
        ("GET", "/v1/users/u1/recommendations?calibrated=genre:3", 422, "from 0 to 1"),
        ("GET", "/v1/users/u1/recommendations?boost=colour:0.1", 422, "colour"),
        ("GET", "/v1/users/u1/recommendations?where=price<3", 422, "price"),
        ("GET", "/v1/users/u1/recommendations?where=1;DROP TABLE x", 422, "where"),
        ("GET", "/v1/users/u1/recommendations?by=chance", 422, "at_least"),
        ("GET", "/v1/users/u1/recommendations?model=other", 404, "ratings"),
        ("GET", "/v1/items/nothing/similar", 404, "nothing"),
        ("GET", "/v1/users/nobody/similar", 404, "nobody"),
        ("GET", "/v1/users/nobody/explanations/i1", 404, "nobody"),
        ("GET", "/v1/users/u1/explanations/nothing", 404, "nothing"),
        ("GET", "/v2", 404, "/docs"),
        ("DELETE", "/v1/ask", 405, "DELETE"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(ask, method, path, status, word):
    assert word in ask().problem(method, path, status)


@pytest.mark.parametrize("body", [b"", b"{", b"[1, 2", b"\xff\xfe", b'{"likes": {"i1": NaN}}', b"[" * 100_000])
def test_a_body_that_is_no_json(ask, body):
    assert ask().ask("POST", "/v1/ask", content=body, headers=JSON).status_code in (400, 422)


def test_a_body_that_is_too_large(ask):
    assert "send less" in ask().problem("POST", "/v1/ask", 413, content=b" " * 1_000_001, headers=JSON)
