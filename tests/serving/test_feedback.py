"""Feedback is kept once, counts in the next answer, and can be forgotten for good."""

import json

import palate
from helpers.serving import ADMIN, JSON
from palate.serving.guard import digest_of, new_secret
from palate.serving.store import Key

USER = "u3"


def rated(number, user=USER, item="i4", **more):
    return {"id": f"e{number}", "user": user, "item": item, **more}


def test_the_next_answer_counts_it(ask, files):
    client, rec = ask(), palate.load(files["ratings"])
    before = client.get(f"/v1/users/{USER}/recommendations", n=3)["items"]
    best = before[0]["item"]
    assert client.post("/v1/feedback", [rated(1, item=best, value=1)]) == {"accepted": 1, "duplicates": 0}
    after = client.get(f"/v1/users/{USER}/recommendations", n=3)["items"]
    assert best not in [one["item"] for one in after]
    history = dict(zip(*(rec.history(USER)[name].to_list() for name in ("item", "rating")), strict=True))
    want = rec.fold_in(history | {best: 1.0}).recommend(n=3)
    assert [one["item"] for one in after] == want["item"].to_list()


def test_a_new_user_becomes_known(ask, files):
    client, rec = ask(), palate.load(files["ratings"])
    assert client.get("/v1/users/ann/recommendations")["known"] is False
    client.post("/v1/feedback", [rated(1, "ann", "i2", value=5), rated(2, "ann", "i7", value=1)])
    answer = client.get("/v1/users/ann/recommendations", n=4)
    assert answer["known"] is True
    assert [one["item"] for one in answer["items"]] == rec.fold_in({"i2": 5, "i7": 1}).recommend(n=4)["item"].to_list()
    assert client.get("/v1/users/ann/explanations/i9")["because"][0]["item"] in ("i2", "i7")


def test_the_same_event_counts_once(ask):
    client = ask()
    events = [rated(1, value=4), rated(2, item="i5", value=3), rated(1, value=4)]
    assert client.post("/v1/feedback", events) == {"accepted": 2, "duplicates": 1}
    assert client.post("/v1/feedback", events) == {"accepted": 0, "duplicates": 3}
    assert client.service.store.count() == 2


def test_a_later_rating_takes_the_place_of_one_before(ask):
    client = ask()
    client.post("/v1/feedback", [rated(1, "ann", "i2", value=1), rated(2, "ann", "i2", value=5)])
    once = ask()
    once.post("/v1/feedback", [rated(3, "bob", "i2", value=5)])
    ann, bob = (
        client.get("/v1/users/ann/recommendations", n=5)["items"],
        once.get("/v1/users/bob/recommendations", n=5)["items"],
    )
    assert ann == bob


def test_likes_are_added_and_taken_back(ask):
    client = ask("likes")
    client.post("/v1/feedback", [rated(1, "ann", "i2", value=5), rated(2, "ann", "i7", event="view")])
    first = client.get("/v1/users/ann/recommendations")["items"]
    assert {"i2", "i7"}.isdisjoint(one["item"] for one in first)
    client.post("/v1/feedback", [rated(3, "ann", "i7", value=1)])
    (want,) = client.post("/v1/recommendations", [{"session": ["i2"]}])
    assert client.get("/v1/users/ann/recommendations")["items"] == want["items"]


def test_what_the_model_cannot_use_is_kept_and_changes_nothing(ask):
    client = ask()
    before = client.get(f"/v1/users/{USER}/recommendations")["items"]
    events = [rated(1, item="unheard-of", value=5), rated(2, event="view"), rated(3, value=4_000)]
    assert client.post("/v1/feedback", events)["accepted"] == 3
    assert client.get(f"/v1/users/{USER}/recommendations")["items"] == before
    assert len(client.get(f"/v1/users/{USER}/history")["ratings"]) > 3


def test_the_history_says_what_was_learned_and_what_arrived(ask, files):
    client, rec = ask(), palate.load(files["ratings"])
    client.post("/v1/feedback", [rated(1, item="i4", value=2, time=1_700_000_000)])
    shown = client.get(f"/v1/users/{USER}/history")
    learned = [one for one in shown["ratings"] if one["learned"]]
    assert len(learned) == len(rec.history(USER))
    (new,) = [one for one in shown["ratings"] if not one["learned"]]
    assert (new["item"], new["value"], new["time"]) == ("i4", 2, 1_700_000_000)
    assert client.get("/v1/users/nobody/history") == {"user": "nobody", "known": False, "ratings": []}


def test_a_forgotten_user_is_nowhere(ask, files, tmp_path):
    file = tmp_path / "ratings.palate"
    file.write_bytes(files["ratings"].read_bytes())
    client = ask(file)
    label = "somebody-with-a-name"
    client.post("/v1/feedback", [rated(1, label, "i2", value=5), rated(2, USER, "i5", value=5)])
    for user in (label, USER):
        done = client.ask("DELETE", f"/v1/users/{user}", headers=ADMIN)
        assert done.status_code == 200, done.text
    assert done.json()["models"] == ["ratings"]
    assert client.get(f"/v1/users/{USER}/history")["known"] is False
    assert client.get(f"/v1/users/{USER}/recommendations")["known"] is False
    assert USER not in palate.load(file).model.user_vocabulary
    for kept in tmp_path.iterdir():
        assert label.encode() not in kept.read_bytes()


def test_feedback_that_cannot_be_is_refused_whole(ask):
    client = ask()
    wrong = [
        [{"id": "", "user": "u1", "item": "i1"}],
        [{"user": "u1", "item": "i1"}],
        [rated(1, value="five")],
        [rated(1, value=1e999)],
        [rated(1, "u\u0000", value=3)],
        [rated(n, value=3) for n in range(1001)],
        [rated(1, value=3), {"id": "e2"}],
        {"id": "e1"},
    ]
    for body in wrong:
        assert client.ask("POST", "/v1/feedback", content=json.dumps(body), headers=JSON).status_code in (400, 422), (
            body
        )
    assert client.service.store.count() == 0


def test_too_much_at_a_time(ask):
    client = ask()
    client.service.guard._rate = 10
    made = client.ask("POST", "/v1/feedback", json=[rated(n, value=3) for n in range(11)])
    assert made.status_code == 429
    assert int(made.headers["retry-after"]) >= 1


def test_scopes(ask):
    secrets = {scope: new_secret() for scope in ("read", "feedback", "admin")}
    client = ask(keys=[Key(scope, digest_of(secret), frozenset({scope})) for scope, secret in secrets.items()])
    paths = {
        "read": ("GET", "/v1/users/u1/history"),
        "admin": ("GET", "/admin/models"),
        "feedback": ("POST", "/v1/feedback"),
    }
    for wanted, (method, path) in paths.items():
        assert client.ask(method, path, json=[]).status_code == 401
        for scope, secret in secrets.items():
            made = client.ask(method, path, json=[], headers={"Authorization": f"Bearer {secret}"})
            assert made.status_code == (200 if scope == wanted else 403), (scope, path, made.text)
    assert client.ask("GET", "/v1/users/u1/history", headers={"Authorization": "Bearer palate_x"}).status_code == 401


def test_administration_without_keys_needs_the_token(ask):
    client = ask()
    assert "token" in client.problem("GET", "/admin/models", 403)
    assert client.ask("GET", "/admin/models", headers={"X-Palate-Admin": "wrong"}).status_code == 403
    assert client.ask("GET", "/admin/models", headers=ADMIN).status_code == 200


def test_an_answer_named_by_feedback_counts_for_its_model(ask):
    client = ask("ratings", "plain")
    first = client.get("/v1/users/u1/recommendations", model="plain")
    client.post(
        "/v1/feedback", [rated(1, "u1", value=5, answer=first["id"]), rated(2, "u1", "i9", value=3, answer=first["id"])]
    )
    states = {one["name"]: one for one in client.ask("GET", "/admin/models", headers=ADMIN).json()["models"]}
    assert (states["plain"]["n_answers_named"], states["plain"]["mean_value"]) == (2, 4.0)
    assert states["ratings"]["n_answers_named"] == 0


def test_shares_divide_the_users_and_each_keeps_a_model(ask):
    client = ask("ratings", "plain")
    done = client.ask("POST", "/admin/share", json={"shares": {"ratings": 0.5, "plain": 0.5}}, headers=ADMIN)
    assert done.status_code == 200
    models = [client.get(f"/v1/users/u{n}/recommendations", n=1)["model"] for n in range(60)]
    assert 15 < sum(one.startswith("plain") for one in models) < 45
    assert models == [client.get(f"/v1/users/u{n}/recommendations", n=1)["model"] for n in range(60)]
    for wrong in ({"ratings": 0.5}, {"ratings": 2, "plain": -1}, {"nobody": 1}):
        assert client.ask("POST", "/admin/share", json={"shares": wrong}, headers=ADMIN).status_code == 422


def test_intervals_are_judged_by_what_arrives(ask, ratings):
    client = ask()
    pairs = list(
        zip(
            ratings.user_codes[:90].tolist(),
            ratings.item_codes[:90].tolist(),
            ratings.values[:90].tolist(),
            strict=True,
        )
    )
    users, items = (v.labels.tolist() for v in (ratings.user_vocabulary, ratings.item_vocabulary))
    events = [rated(n, users[user], items[item], value=value) for n, (user, item, value) in enumerate(pairs)]
    client.post("/v1/feedback", events)
    state = client.ask("GET", "/admin/models", headers=ADMIN).json()
    assert state["n_judged"] == 90
    held = {one["level"]: one["held"] for one in state["calibration"]}
    assert held[0.9] > 0.8
    assert [*held.values()] == sorted(held.values())
    text = client.ask("GET", "/metrics").text
    assert 'palate_feedback_events_total{outcome="accepted"} 90.0' in text
    assert 'palate_interval_ratings_total{place="inside"}' in text


def test_the_doctor_looks_at_the_training_ratings(ask, ratings):
    for name in ("ratings", "likes"):
        found = ask(name).ask("GET", "/admin/doctor", headers=ADMIN).json()
        assert found["worst"] in ("info", "warning", "problem")
        assert found["findings"][0]["name"] == "size"
    assert f"{len(ratings):,} ratings" in ask().ask("GET", "/admin/doctor", headers=ADMIN).json()["findings"][0]["says"]
