"""A fit while the server answers: what it learns, when it is refused; nothing that arrives meanwhile is lost."""

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from helpers.serving import ADMIN
from palate.errors import OptionError
from palate.serving.filelocks import try_lock
from palate.serving.learning import Job, learn
from palate.serving.refitting import FIT, Policy, Refitter
from palate.serving.store import Event, Item, open_store


def event(number, user, item, value=None, **more):
    return Event(f"e{number}", str(user), str(item), value, time=1_700_000_000 + number, **more)


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path / "feedback.db")
    yield made
    made.close()


@pytest.fixture
def fit(tmp_path, store):
    """Learns from a model and events, and gives the outcome and the new model; up to the last event, or another."""

    def made(rec, events=(), up_to=None, ratings=None):
        rec.save(tmp_path / "m.palate")
        store.add(list(events))
        new = tmp_path / "new.palate"
        up_to = store.last() if up_to is None else up_to
        job = Job(
            model=str(tmp_path / "m.palate"),
            store=str(tmp_path / "feedback.db"),
            up_to=up_to,
            out=str(new),
            ratings=ratings and str(ratings),
        )
        outcome = learn(job)
        return outcome, palate.load(new).model if outcome.accepted else None

    return made


def pairs(model):
    """{(user, item): (rating, weight)} of what a model learned."""
    history, users, items = model.history, model.user_vocabulary.labels, model.item_vocabulary.labels
    weights = np.ones(len(history.indices)) if history.weights is None else history.weights
    rows = np.repeat(np.arange(len(users)), history.counts)
    entries = zip(
        users[rows].tolist(),
        items[history.indices].tolist(),
        history.values.tolist(),
        weights.tolist(),
        strict=True,
    )
    return {(user, item): (value, weight) for user, item, value, weight in entries}


SMALL = {
    "string": palate.read({"user": [*"aaabbbccd"], "item": [*"xyzxyzxyz"], "rating": [5, 3, 1, 4, 2, 5, 3, 4, 2]}),
    "integer": palate.read(
        {
            "user": [1, 1, 1, 2, 2, 2, 3, 3, 4],
            "item": [7, 8, 9, 7, 8, 9, 7, 8, 9],
            "rating": [5, 3, 1, 4, 2, 5, 3, 4, 2],
        }
    ),
}
ALS = palate.ALS(n_factors=2, n_sweeps=3)


@pytest.mark.parametrize("kind", SMALL)
def test_the_later_rating_counts_and_new_users_and_items_come_in(fit, kind):
    rec, known = ALS.fit(SMALL[kind]), pairs(ALS.fit(SMALL[kind]).model)
    (user, item), new_user, new_item = min(known), 99, 98
    if kind == "string":
        new_user, new_item = "zoe", "w"
    events = [
        event(1, user, item, 2),
        event(2, user, item, 4),
        event(3, new_user, item, 5),
        event(4, new_user, new_item, 1),
        event(5, user, new_item, event="view"),  # says nothing to a model of ratings
        event(6, user, new_item, 400),  # nor does another scale
    ]
    outcome, model = fit(rec, events)
    assert outcome.accepted
    assert pairs(model) == known | {
        (user, item): (4, 1),
        (new_user, item): (5, 1),
        (new_user, new_item): (1, 1),
    }
    assert model.training["learned_up_to"] == 6
    assert outcome.n_ratings == len(known) + 2
    assert model.recipe == rec.model.recipe


def test_events_whose_labels_are_no_numbers_are_left_out_of_a_model_of_numbers(fit):
    rec = ALS.fit(SMALL["integer"])
    outcome, model = fit(rec, [event(1, "ann", 7, 5), event(2, 1, "tea", 5), event(3, 1, 7, 2)])
    assert outcome.accepted
    assert pairs(model) == pairs(rec.model) | {(1, 7): (2, 1)}


def test_labels_stay_as_they_are(fit):
    odd = ["NA", "null", "  ann ", "1e5", "007", "ünï", "a|b", "x" * 3000]
    rec = ALS.fit(SMALL["string"])
    _, model = fit(rec, [event(n, label, label, 3) for n, label in enumerate(odd)])
    assert set(odd) <= set(model.user_vocabulary.labels.tolist())
    assert set(odd) <= set(model.item_vocabulary.labels.tolist())


def test_counts_add_up(fit):
    plays = palate.read({"user": [*"aab"], "item": [*"xyx"], "plays": [3, 1, 2]}, kind="implicit")
    rec = palate.ImplicitALS(n_factors=2, n_sweeps=2).fit(plays)
    events = [event(1, "a", "x", 4), event(2, "a", "x", event="play"), event(3, "c", "y", 2), event(4, "c", "x", 0)]
    outcome, model = fit(rec, events)
    assert outcome.accepted
    assert pairs(model) == {
        ("a", "x"): (1, 8),
        ("a", "y"): (1, 1),
        ("b", "x"): (1, 2),
        ("c", "y"): (1, 2),
    }


def test_likes_are_added_and_taken_back(fit, ratings):
    rec = palate.EASE().fit(SMALL["string"].likes(4))
    assert set(pairs(rec.model)) == {("a", "x"), ("b", "x"), ("b", "z"), ("c", "y")}
    events = [event(1, "a", "x", 1), event(2, "a", "y", 5), event(3, "d", "x", event="view"), event(4, "d", "z", 2)]
    outcome, model = fit(rec, events)
    assert outcome.accepted
    assert set(pairs(model)) == {("a", "y"), ("b", "x"), ("b", "z"), ("c", "y"), ("d", "x")}
    assert model.like_threshold == 4


def test_up_to_is_held_and_the_next_fit_goes_on_from_there(fit):
    rec = ALS.fit(SMALL["string"])
    events = [event(1, "a", "x", 1), event(2, "b", "x", 1), event(3, "c", "x", 1)]
    _, first = fit(rec, events, up_to=2)
    assert first.training["learned_up_to"] == 2
    assert (pairs(first)["b", "x"], pairs(first)["c", "x"]) == ((1, 1), (3, 1))
    _, second = fit(palate.Recommender(first))
    assert pairs(second) == pairs(first) | {("c", "x"): (1, 1)}
    outcome, _ = fit(palate.Recommender(second))
    assert (outcome.accepted, outcome.reason) == (False, "nothing has arrived that the model could learn.")


def test_a_file_of_ratings_is_read_with_everything_that_came_since(fit, tmp_path):
    file = tmp_path / "ratings.csv"
    SMALL["integer"].to_frame().write_csv(file)
    rec = ALS.fit(SMALL["integer"])
    _, first = fit(rec, [event(1, 1, 7, 1), event(2, 50, 7, 4)], ratings=file)
    _, second = fit(palate.Recommender(first), [event(3, 2, 7, 5)], ratings=file)
    assert pairs(second) == pairs(rec.model) | {(1, 7): (1, 1), (50, 7): (4, 1), (2, 7): (5, 1)}


def test_a_model_with_times_needs_the_file(fit, tmp_path):
    table = SMALL["string"].to_frame().with_columns(time=pl.int_range(9) * 90_000 + 1_600_000_000)
    rec = palate.Bayes(n_sweeps=4, time=True).fit(palate.read(table, time="time"))
    with pytest.raises(OptionError, match="--ratings FILE"):
        fit(rec, [event(1, "a", "x", 1)])
    table.write_csv(tmp_path / "timed.csv")
    outcome, model = fit(rec, ratings=tmp_path / "timed.csv")
    assert outcome.accepted
    assert model.effects is not None
    assert pairs(model)["a", "x"] == (1, 1)


def test_forgotten_users_are_left_out_also_of_the_tables(fit, store):
    users = pl.DataFrame({"user": [*"abcd"], "town": ["Rome", "Oslo", "Rome", "Oslo"]})
    rec = ALS.fit(SMALL["string"].with_users(users))
    store.add([event(1, "a", "y", 5), event(2, "b", "y", 5)])
    store.forget("a")
    _, model = fit(rec, [event(3, "c", "z", 5)])
    assert model.user_vocabulary.labels.tolist() == ["b", "c", "d"]
    assert model.user_table["town"].to_list() == ["Oslo", "Rome", "Oslo"]
    assert {user for user, _ in pairs(model)} == {"b", "c", "d"}
    _, model = fit(rec, [event(4, "a", "y", 2)])  # who comes back is new
    assert {one: value for one, value in pairs(model).items() if one[0] == "a"} == {("a", "y"): (2, 1)}


def test_item_tables_stay_and_take_in_what_was_put(fit, store, ratings):
    rec = palate.ALS(n_factors=2, n_sweeps=2).fit(ratings)
    store.put_items(
        [
            Item("new", {"title": "A New Film", "year": 2020, "colour": "blue"}),
            Item("i0", {"title": "Renamed"}),
            Item("i1", {"year": "no number"}),
            Item("nobody rated it", {"title": "x"}),
        ]
    )
    _, model = fit(rec, [event(1, "u1", "new", 5)])
    before, after = rec.model, model
    table = dict(zip(after.item_vocabulary.labels.tolist(), after.item_table.rows(named=True), strict=True))
    want = dict(zip(before.item_vocabulary.labels.tolist(), before.item_table.rows(named=True), strict=True))
    want["i0"] |= {"title": "Renamed"}
    want["i1"] |= {"year": None}
    want["new"] = {"title": "A New Film", "genre": None, "year": 2020}
    assert table == want
    assert after.item_table.schema == before.item_table.schema


def test_a_much_worse_model_is_refused_with_the_reason(fit, ratings):
    good = palate.ALS(n_sweeps=8).fit(ratings)
    bad = replace(good.model, recipe=palate.Mean().fit(ratings).model.recipe)
    codes = ratings.user_codes, ratings.item_codes
    users, items = (v.labels.tolist() for v in (ratings.user_vocabulary, ratings.item_vocabulary))
    events = [
        event(n, users[user], items[item], value)
        for n, (user, item, value) in enumerate(zip(*codes, ratings.values.tolist(), strict=True))
    ]
    outcome, _ = fit(palate.Recommender(bad), events)
    assert outcome.accepted is False
    assert outcome.n_held_out == 180
    assert outcome.after > outcome.before * 1.02
    assert "worse on the last feedback: rmse" in outcome.reason
    outcome, _ = fit(good)
    assert outcome.accepted
    assert outcome.measure == "rmse"


def test_likes_are_measured_by_their_lists(fit, ratings):
    rec = palate.EASE().fit(ratings.likes(4)[:300])
    rows = ratings.values >= 4
    users, items = (v.labels.tolist() for v in (ratings.user_vocabulary, ratings.item_vocabulary))
    events = [
        event(n, users[user], items[item], 5)
        for n, (user, item) in enumerate(zip(ratings.user_codes[rows], ratings.item_codes[rows], strict=True))
    ]
    outcome, _ = fit(rec, events)
    assert outcome.measure == "ndcg@10"
    assert outcome.n_held_out == len(events) // 10
    assert 0 <= outcome.before <= 1
    assert 0 <= outcome.after <= 1


# ---- while a service answers


@pytest.fixture
def refitting(ask, tmp_path):
    """A client of a copy of a file, and its Refitter."""

    def made(rec, policy="never"):
        file = tmp_path / "served.palate"
        rec.save(file)
        client = ask(file)
        client.service.refitter = Refitter(client.service, file, str(tmp_path / "feedback.db"), Policy.parse(policy))
        return client, client.service.refitter

    return made


def slowly(rec):
    """The model as if a recipe had made it that takes minutes."""
    return palate.Recommender(replace(rec.model, recipe=rec.model.recipe | {"n_sweeps": 10_000_000}))


def children():
    listed = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "palate.serving.learning" in line]


async def while_it_fits(refitter, do):
    """The outcome of a fit, during which something is done."""
    fit = asyncio.create_task(refitter.refit())
    while not children():
        assert not fit.done(), fit.result()
        await asyncio.sleep(0.02)
    await do()
    return await fit


def post(client, number, user, item, value):
    return client.http.post("/v1/feedback", json=[{"id": f"e{number}", "user": user, "item": item, "value": value}])


@pytest.mark.long
def test_what_arrives_during_a_fit_is_kept_and_counts(refitting, ratings, tmp_path):
    client, refitter = refitting(palate.ALS(n_sweeps=3).fit(ratings))
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "i2", "value": 5}])
    (tmp_path / "served.palate").chmod(0o640)

    async def more():
        assert (await post(client, 2, "ann", "i7", 1)).status_code == 200
        assert (await post(client, 3, "bob", "i7", 4)).status_code == 200
        assert (await client.http.delete("/v1/users/u5", headers=ADMIN)).status_code == 200

    outcome = client.runner.run(while_it_fits(refitter, more))
    assert outcome.accepted, outcome.reason
    (served,) = client.service.models
    assert served.learned_up_to == 1
    assert "ann" in served.model.user_vocabulary
    assert "bob" not in served.model.user_vocabulary
    assert "u5" not in served.model.user_vocabulary, "forgotten during the fit, and back with it"
    assert "u5" not in palate.load(tmp_path / "served.palate").model.user_vocabulary
    shown = client.get("/v1/users/ann/history")["ratings"]
    assert [(one["item"], one["learned"]) for one in shown] == [("i2", True), ("i7", False)]
    assert client.get("/v1/users/bob/recommendations")["known"] is True
    want = palate.load(tmp_path / "served.palate").fold_in({"i2": 5, "i7": 1}).recommend(n=3)["item"].to_list()
    assert [one["item"] for one in client.get("/v1/users/ann/recommendations", n=3)["items"]] == want
    assert {path.name for path in tmp_path.glob("*.palate")} == {"served.palate"}
    assert (tmp_path / "served.palate").stat().st_mode & 0o777 == 0o640


def test_a_killed_process_changes_nothing(refitting, ratings, tmp_path, caplog):
    client, refitter = refitting(slowly(palate.ALS(n_sweeps=3).fit(ratings)))
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "i2", "value": 5}])
    before, answer = (tmp_path / "served.palate").read_bytes(), client.get("/v1/users/ann/recommendations")["items"]

    async def kill():
        assert client.service.refitter.is_running
        (child,) = children()
        os.kill(child, signal.SIGKILL)

    outcome = client.runner.run(while_it_fits(refitter, kill))
    assert outcome.accepted is False
    assert "code -9" in outcome.reason
    assert (tmp_path / "served.palate").read_bytes() == before
    assert client.get("/v1/users/ann/recommendations")["items"] == answer
    assert not list(tmp_path.glob(".served-new*"))
    shown = client.ask("GET", "/admin/models", headers=ADMIN).json()
    assert shown["fits"][-1]["reason"] == outcome.reason
    assert shown["is_fitting"] is False


def test_a_fit_under_way_ends_with_the_server(refitting, ratings, tmp_path):
    client, refitter = refitting(slowly(palate.ALS(n_sweeps=3).fit(ratings)), "every 1 events")
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "i2", "value": 5}])

    async def until_it_fits():
        refitter.start()
        while not children():
            await asyncio.sleep(0.02)
        await refitter.close()

    client.runner.run(asyncio.wait_for(until_it_fits(), 30))
    assert children() == []
    held = try_lock(tmp_path / "served.palate", FIT)
    assert held is not None, "the lock of a fit that was given up"
    held.close()


@pytest.mark.long
def test_another_process_that_fits_is_left_alone(refitting, ratings, tmp_path):
    client, _ = refitting(palate.ALS(n_sweeps=3).fit(ratings))
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "i2", "value": 5}])
    held = try_lock(tmp_path / "served.palate", FIT)
    made = client.post("/admin/fit", None, headers=ADMIN)
    held.close()
    assert (made["accepted"], made["reason"]) == (False, "another process fits this model just now.")
    assert client.post("/admin/fit", None, headers=ADMIN)["accepted"] is True


def test_two_users_forgotten_at_once_are_both_gone(ask, ratings, tmp_path):
    palate.ALS(n_sweeps=3).fit(ratings).save(tmp_path / "served.palate")
    one, other = ask(tmp_path / "served.palate"), ask(tmp_path / "served.palate")  # as two workers

    async def both():
        gone = (f"/v1/users/u{n}" for n in (1, 2, 3))
        return await asyncio.gather(*(one.http.delete(path, headers=ADMIN) for path in gone))

    assert [made.status_code for made in one.runner.run(both())] == [200] * 3
    assert other.ask("DELETE", "/v1/users/u4", headers=ADMIN).json()["models"] == ["served"]
    for service in (one.service, other.service):
        service.models.named("served")
    known = palate.load(tmp_path / "served.palate").model.user_vocabulary
    assert not any(f"u{n}" in known for n in (1, 2, 3, 4))


def test_a_model_that_cannot_forget_says_so(ask, ratings, tmp_path):
    palate.BPR(n_factors=2).fit(ratings.likes(4)).save(tmp_path / "pairs.palate")
    client = ask(tmp_path / "pairs.palate")
    made = client.ask("DELETE", "/v1/users/u1", headers=ADMIN).json()
    assert (made["models"], made["remaining"]) == ([], ["pairs"])


# ---- policies


@pytest.mark.parametrize(
    ("text", "n_new", "seconds", "judged", "is_time"),
    [
        ("never", 10**6, 1e9, (0, 10**6), False),
        ("every 1000 events", 999, 1e9, (0, 0), False),
        ("every 1000 events", 1000, 0, (0, 0), True),
        ("every 1 event", 0, 1e9, (0, 0), False),
        ("every 6 hours", 1, 6 * 3600 - 1, (0, 0), False),
        ("Every 6 Hours", 1, 6 * 3600, (0, 0), True),
        ("every 2 days", 0, 1e9, (0, 0), False),
        ("drift", 1, 1e9, (400, 499), False),
        ("drift", 1, 0, (425, 500), True),
        ("drift", 1, 0, (450, 500), False),
        ("drift", 1, 0, (480, 500), True),
    ],
)
def test_a_policy_says_when(text, n_new, seconds, judged, is_time):
    assert Policy.parse(text).calls(n_new, seconds, judged) is is_time


@pytest.mark.parametrize("text", ["", "often", "every 0 events", "every x hours", "every 5 weeks", "1000 events"])
def test_what_is_no_policy(text):
    with pytest.raises(OptionError, match="every 6 hours"):
        Policy.parse(text)


def sent(server, numbers, user="ann"):
    events = [{"id": f"e{n}", "user": f"{user}{n % 3}", "item": f"i{n % 50}", "value": 1 + n % 5} for n in numbers]
    server.post("/v1/feedback", events)


@pytest.mark.long
def test_every_so_many_events_one_of_several_workers_fits(serve, tmp_path):
    server = serve("plain", "--refit", "every 10 events", "--workers", "2")
    before = (tmp_path / "plain.palate").read_bytes()
    sent(server, range(9))
    made = [server.post("/v1/feedback", [{"id": "e8", "user": "u1", "item": "i1", "value": 5}]) for _ in range(5)]
    assert all(one == {"accepted": 0, "duplicates": 1} for one in made)
    assert (tmp_path / "plain.palate").read_bytes() == before
    sent(server, [9])
    server.wait_for(lambda: "refit" in server.log, "a fit")
    assert palate.load(tmp_path / "plain.palate").model.training["learned_up_to"] == 10
    sent(server, range(10, 15))  # five more are too few
    server.wait_for(lambda: server.get("/v1/users/ann1/history")["ratings"][0]["learned"], "the new model")
    assert server.fit()["accepted"] is True  # by whichever worker
    assert server.log.count("refit accepted=True") == 2, server.log
    assert palate.load(tmp_path / "plain.palate").model.training["learned_up_to"] == 15


@pytest.mark.long
def test_every_so_many_seconds(serve, tmp_path):
    server = serve("plain", "--refit", "every 2 seconds")
    (before,) = server.models()
    sent(server, range(3))
    server.wait_for(lambda: server.models() != [before], "the new model")
    assert server.fits()[0]["accepted"] is True
    assert server.get("/v1/users/ann1/recommendations")["known"] is True
    assert server.stop() == 0
    assert not list(tmp_path.glob(".plain-new*"))


@pytest.mark.long
def test_drift_and_a_fit_that_was_refused_is_not_tried_again(refitting, ratings):
    client, refitter = refitting(palate.ALS(n_sweeps=3).fit(ratings), "drift")
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "unheard-of", "event": "view"}])
    assert refitter._is_time() is False
    client.service.judged._held[0.9], client.service.judged._n = 300, 500
    assert refitter._is_time() is True
    assert client.runner.run(refitter.refit()).accepted is False
    assert refitter._is_time() is False
    refitter._policy = Policy.parse("every 1 event")
    assert refitter._is_time() is False
    client.post("/v1/feedback", [{"id": "e2", "user": "ann", "item": "i1", "value": 2}])
    assert refitter._is_time() is True


@pytest.mark.long
def test_when_intervals_drift(serve, ratings):
    server = serve("ratings", "--refit", "drift")
    users, items = (v.labels.tolist() for v in (ratings.user_vocabulary, ratings.item_vocabulary))
    codes = zip(ratings.user_codes.tolist(), ratings.item_codes.tolist(), ratings.values.tolist(), strict=True)
    turned = [
        {"id": f"e{n}", "user": users[user], "item": items[item], "value": 6 - value}
        for n, (user, item, value) in enumerate(codes)
    ]

    def some_judged():
        """Send more, of which 200 a second are compared with their intervals."""
        if turned:
            server.post("/v1/feedback", [turned.pop() for _ in range(min(200, len(turned)))])
        time.sleep(0.5)
        return server.fits()

    (fit,) = server.wait_for(some_judged, "a fit")
    assert fit["n_held_out"] > 0


@pytest.mark.long
def test_never_fits_by_itself_but_when_asked(refitting, ratings, tmp_path):
    client, refitter = refitting(palate.ALS(n_sweeps=3).fit(ratings))
    refitter.start()  # without a policy there is nothing to watch
    assert refitter._task is None
    assert client.ask("POST", "/admin/fit").status_code == 403
    made = client.post("/admin/fit", None, headers=ADMIN)
    assert made["reason"] == "nothing has arrived that the model could learn."
    client.post("/v1/feedback", [{"id": "e1", "user": "ann", "item": "i2", "value": 5}])
    assert client.post("/admin/fit", None, headers=ADMIN)["accepted"] is True
    assert client.get("/v1/users/ann/history")["ratings"][0]["learned"] is True
