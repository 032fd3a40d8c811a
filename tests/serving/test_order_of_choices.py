"""What was chosen last counts in answers over HTTP too: sessions, feedback, and recent= at question time."""

import numpy as np
import pytest

import palate

DAY = 86_400
START = 1_600_000_000


def choices(timed=True):
    rng = np.random.default_rng(0)
    columns = {
        "user": [f"u{code}" for code in rng.integers(0, 40, 400)],
        "item": [f"i{code}" for code in rng.integers(0, 12, 400)],
    }
    return palate.read(columns | ({"time": START + rng.integers(0, 60 * DAY, 400)} if timed else {}), kind="implicit")


MODELS = {
    "fading": palate.EASE(weight_decay=5.0, recency=3, half_life="20d"),
    "plain": palate.EASE(weight_decay=5.0),
    "als": palate.ImplicitALS(n_factors=4, weight_decay=0.05),
    "popular": palate.Popularity(),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    for name, recipe in MODELS.items():
        recipe.fit(choices(), progress=False).save(folder / f"{name}.palate")
    MODELS["plain"].fit(choices(timed=False), progress=False).save(folder / "untimed.palate")
    return {name: folder / f"{name}.palate" for name in (*MODELS, "untimed")}


def same(items, frame):
    assert [one["item"] for one in items] == frame["item"].to_list()
    np.testing.assert_allclose([one["score"] for one in items], frame["score"].to_list(), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["plain", "als", "fading"])
@pytest.mark.parametrize("recent", ["2", "5.5", "20d"])
def test_recent_is_that_of_recommend(ask, made, name, recent):
    client, rec = ask(made[name]), palate.load(made[name])
    given = float(recent) if "d" not in recent else recent
    same(client.get("/v1/users/u3/recommendations", n=4, recent=recent)["items"], rec.recommend("u3", 4, recent=given))
    body = [
        {"session": ["i3", "i7", "i1"], "recent": "2"},
        {"user": "u3"},
        {"user": "u3", "recent": "2", "explain": True},
    ]
    session, known, weighed = client.post("/v1/recommendations", body)
    same(session["items"], rec.recommend(session=["i3", "i7", "i1"], recent=2))
    same(known["items"], rec.recommend("u3"))
    same(weighed["items"], rec.recommend("u3", recent=2))


@pytest.mark.parametrize(("name", "recent"), [("popular", "2"), ("plain", "soon"), ("untimed", "3d")])
def test_what_has_no_answer_is_a_problem(ask, made, name, recent):
    answer = ask(made[name]).ask("GET", "/v1/users/u3/recommendations", params={"recent": recent})
    assert answer.status_code == 422 and "recent" in answer.json()["detail"]


def test_a_session_is_ordered(ask, made):
    client, rec = ask(made["fading"]), palate.load(made["fading"])
    for session in (["i3", "i7"], ["i7", "i3"], ["i3", "i7", "i3"]):
        (found,) = client.post("/v1/recommendations", [{"session": session}])
        same(found["items"], rec.recommend(session=session))


def events(user, *rows):
    return [{"id": f"{user}{n}", "user": user, "item": item, "time": time} for n, (item, time) in enumerate(rows)]


def test_what_arrives_comes_last_and_its_age_counts(ask, made):
    client, rec = ask(made["fading"]), palate.load(made["fading"])
    history = rec.model.history
    code = rec.model.user_vocabulary.encode_one("u3")
    here = slice(*history.indptr[code : code + 2].tolist())
    items = rec.model.item_vocabulary.decode(history.indices[here]).tolist()
    counts = dict(zip(items, history.weights[here].tolist(), strict=True))
    when = dict(zip(items, history.times[here].tolist(), strict=True))
    again, new = items[0], next(f"i{n}" for n in range(12) if f"i{n}" not in items)
    last = START + 70 * DAY
    client.post("/v1/feedback", events("u3", (again, last), (new, last + 9 * DAY)))
    counts[again] += 1
    counts[new] = 1
    when |= {again: last, new: last + 9 * DAY}
    found = client.get("/v1/users/u3/recommendations", n=3, keep_seen=True)["items"]
    want = rec.fold_in(counts, times=[when[item] for item in counts]).recommend(3, keep_seen=True)
    same(found, want)


def test_a_new_user_is_what_the_events_say_in_order(ask, made):
    client, rec = ask(made["fading"]), palate.load(made["fading"])
    client.post("/v1/feedback", events("ann", ("i3", START), ("i7", START + 9 * DAY), ("i3", START + 12 * DAY)))
    found = client.get("/v1/users/ann/recommendations", n=3)["items"]
    want = rec.fold_in(["i3", "i7", "i3"], times=[START, START + 9 * DAY, START + 12 * DAY]).recommend(3)
    same(found, want)


def test_a_later_rating_takes_a_like_back_where_the_model_reads_order_too(ask, tmp_path):
    likes = palate.datasets.synthetic(40, 12, 300, seed=1).likes(at_least=4)
    palate.Sequence(recency=2, weight_decay=5, similarity=0).fit(likes, progress=False).save(tmp_path / "likes.palate")
    client, rec = ask(tmp_path / "likes.palate"), palate.load(tmp_path / "likes.palate")
    rows = [("i1", 5), ("i2", 5), ("i3", 4), ("i2", 1), ("i1", 4)]
    sent = [{"id": f"e{n}", "user": "777", "item": item, "value": value} for n, (item, value) in enumerate(rows)]
    client.post("/v1/feedback", sent)
    same(client.get("/v1/users/777/recommendations", n=4)["items"], rec.recommend(session=["i3", "i1"], n=4))


@pytest.mark.parametrize("timed", [True, False])
def test_feedback_to_sequence_is_a_session_that_goes_on(ask, tmp_path, timed):
    file = tmp_path / "sequence.palate"
    palate.Sequence(recency=2, weight_decay=5, similarity=0.1).fit(choices(timed), progress=False).save(file)
    client, rec = ask(file), palate.load(file)
    history = rec.model.history
    code = rec.model.user_vocabulary.encode_one("u3")
    here = slice(*history.indptr[code : code + 2].tolist())
    items, last = rec.model.item_vocabulary.decode(history.indices[here]).tolist(), START + 70 * DAY
    client.post("/v1/feedback", events("u3", ("i5", last), ("i5", last + 1)))
    found = client.get("/v1/users/u3/recommendations", n=3, keep_seen=True)["items"]
    same(found, rec.recommend(session=[*items, "i5", "i5"], n=3, keep_seen=True))
