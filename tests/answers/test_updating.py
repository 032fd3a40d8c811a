"""Updates and forgetting: against a fit on everything, by their bytes, and by what must not move at all."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.answers import changed_rows
from palate.data import rows
from palate.data.rows import CompressedRows
from palate.errors import DataError, LabelTypeError, OptionError, UnknownLabelError
from palate.recipes.monitor import rmse

DAY = 86_400
RECIPES = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=80),
    "Bayes, ids only": palate.Bayes(n_factors=3, n_sweeps=80, history=False, features=False),
    "Bayes, time": palate.Bayes(n_factors=3, n_sweeps=80, time=True),
    "Bayes, ordinal": palate.Bayes(n_factors=3, n_sweeps=80, likelihood="ordinal"),
    "ALS": palate.ALS(n_factors=3),
    "SGD": palate.SGD(n_factors=3, n_epochs=30),
    "SGD in a range": palate.SGD(n_factors=3, n_epochs=30, y_range=(0.0, 6.0)),
    "Bias": palate.Bias(),
    "Mean": palate.Mean(),
    "Popularity": palate.Popularity(),
}
WITH_DRAWS = [name for name in RECIPES if name.startswith("Bayes")]
EXACT = ("Mean", "Popularity")  # an update is a fit on everything
each = pytest.mark.parametrize("name", RECIPES)
SECRET = "zq-the-one-to-be-forgotten"
LABELS = [SECRET if n == 7 else f"u{n}" for n in range(80)]
KINDS = ("comic", "drama", "crime")
TABLES = {
    "users": pl.DataFrame(
        {"user": LABELS, "age": [10 + n % 41 for n in range(80)], "name": [f"N {x}" for x in LABELS]}
    ),
    "items": pl.DataFrame(
        {"item": [f"i{n}" for n in range(50)], "kind": [KINDS[n % 3] for n in range(50)]}
    ).with_columns(title="Title " + pl.col("item")),
}


@pytest.fixture(scope="module")
def data():
    """Ratings with times, tables of both sides, and names that tell; one user's is SECRET."""
    made = palate.datasets.synthetic(80, 50, 2400, n_factors=2, noise=0.5, seed=3)
    labels, rng = np.array(LABELS, object), np.random.default_rng(0)
    columns = {
        "user": labels[made.user_codes],
        "item": made.item_vocabulary.labels[made.item_codes],
        "rating": made.values,
        "time": 1_000_000_000 + rng.integers(0, 30, len(made)) * DAY,
    }
    return palate.read(columns, **TABLES)


@pytest.fixture(scope="module")
def split(data):
    """(old, new, test): 80, 10 and 10 percent, under one vocabulary."""
    order = np.random.default_rng(1).permutation(len(data))
    return data[order[480:]], data[order[240:480]], data[order[:240]]


@pytest.fixture(scope="module", params=RECIPES)
def fitted(request, split):
    """A recipe's name, and what it learned from the old ratings."""
    return request.param, RECIPES[request.param].fit(split[0], progress=False)


@pytest.fixture(scope="module")
def bayes(split):
    return RECIPES["Bayes"].fit(split[0], progress=False)


def errors(rec, test):
    codes = rec.model.user_vocabulary.encode(test.user_vocabulary.labels, on_unknown="mark")[test.user_codes]
    items = rec.model.item_vocabulary.encode(test.item_vocabulary.labels, on_unknown="mark")[test.item_codes]
    return rmse(rec.predict_codes(codes, items)[0], test.values)


def distance_to_truth(rec):
    """How far predictions of all pairs are from the ratings' expectation (but for their rounding and clipping)."""
    users, items = (side.ravel().astype(np.int32) for side in np.meshgrid(np.arange(80), np.arange(50)))
    labels = np.array(LABELS, object)[users], np.array([f"i{n}" for n in items], object)
    codes = rec.model.user_vocabulary.encode(labels[0]), rec.model.item_vocabulary.encode(labels[1])
    expected = palate.datasets.synthetic_factors(80, 50, 2, seed=3).scores(users, items)
    return rmse(rec.predict_codes(*codes)[0], np.clip(expected, 1, 5))


def pairs_of(model):
    """{(user, item): rating} of a model's history."""
    rows = np.repeat(np.arange(model.history.n_rows), model.history.counts)
    keys = zip(model.user_vocabulary.decode(rows), model.item_vocabulary.decode(model.history.indices), strict=True)
    return dict(zip(keys, model.history.values.tolist(), strict=True))


# ---- update


def test_an_update_is_nearly_a_fit_on_everything(fitted, split):
    name, rec = fitted
    old, new, _ = split
    updated = rec.update(new)
    everything = palate.read(pl.concat([old.to_frame(), new.to_frame()]), **TABLES)
    refit = RECIPES[name].fit(everything, progress=False)
    assert pairs_of(updated.model) == pairs_of(refit.model)
    assert updated.model.limits == refit.model.limits
    if name in EXACT:
        np.testing.assert_allclose(updated.model.factors.items, refit.model.factors.items)
        assert updated.mean == pytest.approx(refit.mean)
        return
    before, between, after = map(distance_to_truth, (rec, updated, refit))
    slack = 0.02 if "SGD" in name else 0.005
    assert between - after < 0.6 * (before - after) + slack


@pytest.mark.parametrize("name", ["Bayes", "Bayes, ids only", "Bayes, ordinal", "ALS", "SGD", "Bias"])
def test_users_whose_every_rating_is_new(name, split):
    """Twenty users and ten items that the model has never heard of, against a fit that has seen them all along."""
    old, new, test = split
    everything = palate.read(pl.concat([old.to_frame(), new.to_frame()]), **TABLES)
    late = (everything.user_codes >= 60) | (everything.item_codes >= 40)
    early = palate.read(everything[~late].to_frame(), **TABLES)
    rec = RECIPES[name].fit(early, progress=False)
    updated = rec.update(everything[late])
    assert (updated.n_users, updated.n_items) == (80, 50)
    assert updated.model.user_vocabulary.labels[: early.n_users].tolist() == early.classes["user"]
    refit = RECIPES[name].fit(everything, progress=False)
    constant = rmse(np.full(len(test), everything.values.mean()), test.values)
    assert errors(updated, test) < 0.5 * errors(refit, test) + 0.5 * constant


def test_a_compact_model_learns_on(bayes, split):
    _, new, test = split
    assert errors(bayes.compact().update(new), test) < errors(bayes, test) + 0.01


def test_what_nothing_touches_keeps_its_bytes(fitted):
    name, rec = fitted
    updated = rec.update({"user": ["u1", "u2"], "item": ["i3", "i4"], "rating": [5, 1]})
    own, was = updated.model.factors, rec.model.factors
    users = ~np.isin(rec.model.user_vocabulary.labels, ["u1", "u2"])
    items = ~np.isin(rec.model.item_vocabulary.labels, ["i3", "i4"])
    if name not in EXACT:
        assert own.users[users].tobytes() == was.users[users].tobytes()
        assert own.items[items].tobytes() == was.items[items].tobytes()
        assert not np.array_equal(own.users[~users], was.users[~users])
    if updated.has_posterior:
        assert len(updated.model.posterior) == len(rec.model.posterior)
        draws, earlier = updated.model.posterior.users.vectors, rec.model.posterior.users.vectors
        assert draws[:, users].tobytes() == earlier[:, users].tobytes()
        assert not np.isin(draws[:, ~users], earlier[:, ~users]).any()
    assert updated.model.fingerprint != rec.model.fingerprint


def test_the_old_model_stays_as_it_was(bayes, split):
    before = [bayes.model.factors.users.tobytes(), bayes.model.posterior.items.vectors.tobytes()]
    told = bayes.model.fingerprint, bayes.model.training
    bayes.update(split[1])
    bayes.forget(users=["u1"])
    assert [bayes.model.factors.users.tobytes(), bayes.model.posterior.items.vectors.tobytes()] == before
    assert (replace(bayes.model).fingerprint, bayes.model.training) == told


@pytest.mark.parametrize("marks", [0, 1000])
def test_entries_are_found_by_marks_and_by_search(marks, monkeypatch):
    monkeypatch.setattr(rows, "MARKS_PER_ENTRY", marks)
    rng = np.random.default_rng(5)
    owners, columns = rng.integers(0, 7, 40).astype(np.int32), rng.integers(0, 9, 40).astype(np.int32)
    matrix = CompressedRows.of(owners, columns, np.ones(40, np.float32), None, 7)
    asked = np.array([0, 6, 3, 3, 6], np.int32), np.array([8, 0, 4, 4, 20], np.int32)
    wanted = set(zip(*(codes.tolist() for codes in asked), strict=True))
    cells = zip(rows.row_codes(matrix).tolist(), matrix.indices.tolist(), strict=True)
    assert rows.entries_at(matrix, *asked).tolist() == [cell in wanted for cell in cells]


def test_a_pair_rated_again_replaces_its_rating(fitted):
    name, rec = fitted
    best = rec.history("u3")
    item, rating = best["item"][0], best["rating"][0]
    updated = rec.update({"user": ["u3"], "item": [item], "rating": [1.0]})
    again = dict(zip(*updated.history("u3").select("item", "rating"), strict=True))
    assert again == dict(zip(*best.select("item", "rating"), strict=True)) | {item: 1.0}
    if name not in EXACT:
        assert updated.predict("u3", item)[0] < rec.predict("u3", item)[0]
    same = rec.update({"user": ["u3"], "item": [item], "rating": [rating]})
    assert same.model.fingerprint == rec.model.fingerprint
    np.testing.assert_allclose(same.model.factors.users, rec.model.factors.users, atol=1e-4)
    np.testing.assert_allclose(same.model.factors.items, rec.model.factors.items, atol=1e-4)


@given(st.lists(st.tuples(st.integers(0, 85), st.integers(0, 53), st.sampled_from([1.0, 3.0, 5.0])), min_size=1))
@settings(max_examples=25, deadline=None)
def test_the_history_is_that_of_a_dictionary(bayes, rows):
    rows = list({(u, i): (f"u{u}", f"i{i}", value) for u, i, value in rows}.values())
    columns = dict(zip(("user", "item", "rating"), map(list, zip(*rows, strict=True)), strict=True))
    updated = bayes.update(columns)
    assert pairs_of(updated.model) == pairs_of(bayes.model) | {(user, item): value for user, item, value in rows}
    assert np.isfinite(
        updated.predict([row[0] for row in rows], [row[1] for row in rows])["prediction"].to_numpy()
    ).all()
    note = updated.model.training["updates"][-1]
    assert note["n_ratings"] == len(rows)
    assert updated.n_users == bayes.n_users + note["n_users"]


def test_ratings_under_another_vocabulary_bring_only_who_rates(bayes, data):
    few = data[:3]
    assert bayes.update(few).n_users == bayes.n_users + len({*few.to_frame()["user"]} - {*bayes.model.user_vocabulary})


def test_new_ones_come_with_what_is_known_of_them(bayes):
    new = {"user": ["newt"], "item": ["fresh"], "rating": [4]}
    users = pl.DataFrame({"user": ["newt"], "age": [33], "name": ["Newt"]})
    items = pl.DataFrame({"item": ["fresh"], "title": ["Fresh one"], "kind": ["drama"]})
    told, untold = bayes.update(new, users=users, items=items), bayes.update(new)
    assert told.model.user_table.columns == bayes.model.user_table.columns
    assert told.model.user_table[-1].to_dicts() == [{"age": 33, "name": "Newt"}]
    assert told.history("newt")["title"].to_list() == ["Fresh one"]
    assert untold.history("newt")["title"].to_list() == [None]
    assert not np.array_equal(told.model.factors.users[-1], untold.model.factors.users[-1])


def test_weights_of_new_ratings_count(bayes):
    heavy, light = (
        bayes.update({"user": ["newt"], "item": ["i1"], "rating": [5], "weight": [weight]}) for weight in (20.0, 0.05)
    )
    assert heavy.predict("newt", "i1")[0] > light.predict("newt", "i1")[0] + 0.1
    assert heavy.model.history.weights[-1] == 20
    assert (heavy.model.history.weights[:-1] == 1).all()


def test_known_times_are_taken_into_account(split):
    """Ratings of a session whose effect is known to be large say less of the user."""
    rec = RECIPES["Bayes, time"].fit(split[0], progress=False)
    session = rec.model.effects.sessions[0]
    at = int(np.argmax(np.abs(session.mean)))
    user, when = rec.model.user_vocabulary.labels[session.users[at]], int(session.starts[at])
    moved = float(rec.model.effects.at(session.users[at : at + 1], np.array([-1], np.int32), np.array([when]))[0][0])
    plain = rec.update({"user": [user], "item": ["unheard"], "rating": [3.0]})
    timed = rec.update({"user": [user], "item": ["unheard"], "rating": [3.0], "time": [when]})
    less = plain.predict(user, "unheard")[0] - timed.predict(user, "unheard")[0]
    assert less * moved > 0
    assert pairs_of(plain.model) == pairs_of(timed.model)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"user": ["u1"], "item": ["i1"], "rating": [500]}, DataError, "another scale: 500 for item 'i1'"),
        ({"user": [1], "item": ["i1"], "rating": [5]}, LabelTypeError, "user 1 is an integer"),
        ({"user": ["u1"], "item": ["i1"]}, DataError, "rating"),
        ({"user": ["u1"], "item": ["i1"], "rating": [None]}, DataError, "rating"),
    ],
)
def test_what_an_update_refuses(bayes, given, error, told):
    with pytest.raises(error, match=told):
        bayes.update(given)


def test_no_ratings_and_nets_and_steps_between(bayes, split, data):
    with pytest.raises(DataError, match="no new ratings"):
        bayes.update(data[:0])
    ordinal = RECIPES["Bayes, ordinal"].fit(split[0], progress=False)
    with pytest.raises(DataError, match="none of the steps"):
        ordinal.update({"user": ["u1"], "item": ["i1"], "rating": [3.21]})


# ---- forget


def test_forgetting_leaves_no_trace_in_the_file(fitted, tmp_path):
    name, rec = fitted
    rec = rec.with_metrics({"of": SECRET})
    rec.save(tmp_path / "all.palate")
    assert SECRET.encode() in (tmp_path / "all.palate").read_bytes()
    left = rec.forget(users=[SECRET])
    left.save(tmp_path / "left.palate")
    assert SECRET.encode() not in (tmp_path / "left.palate").read_bytes()
    again = palate.load(tmp_path / "left.palate")
    assert again.n_users == rec.n_users - 1
    assert pairs_of(again.model) == {key: value for key, value in pairs_of(rec.model).items() if key[0] != SECRET}
    assert again.model.fingerprint == left.model.fingerprint != rec.model.fingerprint
    with pytest.raises(UnknownLabelError):
        again.forget(users=SECRET)
    others = [label for label in rec.model.user_vocabulary if label != SECRET]
    if name not in EXACT:
        item = rec.history(SECRET)["item"][0]
        far = np.abs(again.predict(others, item)["prediction"] - rec.predict(others, item)["prediction"])
        assert 0 < far.max() < 0.5


def test_integer_labels_are_gone_from_every_array(tmp_path):
    made = palate.datasets.synthetic(30, 20, 300, seed=1)
    frame = made.to_frame().with_columns(user=pl.Series(made.user_codes) * 7_000_003 + 40_000_007, item=made.item_codes)
    rec = palate.Bayes(n_factors=2, n_sweeps=10).fit(palate.read(frame), progress=False)
    label = 4 * 7_000_003 + 40_000_007
    rec.save(tmp_path / "all.palate")
    rec.forget(users=label).save(tmp_path / "left.palate")
    marks = [np.int64(label).tobytes(), str(label).encode()]
    there, left = ((tmp_path / f"{name}.palate").read_bytes() for name in ("all", "left"))
    assert marks[0] in there
    assert not any(mark in left for mark in marks)


@pytest.mark.parametrize("name", ["Bayes", "Bayes, time", "Bayes, ordinal", "ALS", "SGD", "Bias"])
def test_forgetting_goes_towards_a_fit_without(name, data):
    """Forgotten: a crowd of new users who love one item that all others hate."""
    crowd = {"user": [f"x{n}" for n in range(30)], "item": ["i5"] * 30, "rating": [5.0] * 30}
    both = pl.concat(
        [data.to_frame(), pl.DataFrame(crowd | {"time": [1_000_000_000] * 30}).cast(data.to_frame().schema)]
    )
    rec = RECIPES[name].fit(palate.read(both, **TABLES), progress=False)
    without = RECIPES[name].fit(data, progress=False)
    left = rec.forget(users=crowd["user"])
    labels = list(data.user_vocabulary)
    with_crowd, left_out, never = (one.predict(labels, "i5")["prediction"].mean() for one in (rec, left, without))
    assert abs(left_out - never) < 0.4 * abs(with_crowd - never)


def test_an_item_forgotten_is_gone_from_both_sides(bayes, tmp_path):
    left = bayes.forget(items="i5", users=["u1", "u2"])
    model = left.model
    assert "i5" not in model.item_vocabulary
    assert (left.n_users, left.n_items) == (bayes.n_users - 2, bayes.n_items - 1)
    assert model.posterior.users.link.shape[1] == model.user_info.n_features
    assert model.posterior.items.link.shape[1] == model.item_info.n_features
    keep = np.flatnonzero(~np.isin(bayes.model.item_vocabulary.labels, ["i5"]))
    was = bayes.model.posterior.users.link
    expected = was[:, [*keep, *range(bayes.n_items, was.shape[1])]]
    np.testing.assert_array_equal(model.posterior.users.link[0], expected[0])
    left.save(tmp_path / "left.palate")
    assert palate.load(tmp_path / "left.palate").recommend("u4", n=3).equals(left.recommend("u4", n=3))


def test_sessions_and_drift_keep_to_their_owners(split):
    rec = RECIPES["Bayes, time"].fit(split[0], progress=False)
    left = rec.forget(users=["u0", SECRET], items=["i0"])
    at = np.array([1_000_000_000.0 + 3 * DAY] * left.n_users)
    codes = np.arange(left.n_users, dtype=np.int32)
    items = np.full(left.n_users, 7, np.int32)
    kept = rec.model.user_vocabulary.encode(left.model.user_vocabulary.labels)
    there = rec.model.item_vocabulary.encode(left.model.item_vocabulary.labels)
    for now, was in zip(
        left.model.effects.at(codes, items, at), rec.model.effects.at(kept, there[items], at), strict=True
    ):
        np.testing.assert_array_equal(now, was)
    assert len(left.model.effects.sessions[0].users) < len(rec.model.effects.sessions[0].users)


def test_forgetting_what_was_learned_last_goes_back(fitted, split):
    """forget(update(x)) is x again, but for the random numbers of a few draws."""
    name, rec = fitted
    there = list(rec.model.item_vocabulary)[:12]
    crowd = {"user": ["x1"] * 12 + ["x2"] * 12, "item": there * 2, "rating": [5.0, 1.0] * 12}
    updated = rec.update(crowd)
    back = updated.forget(users=["x1", "x2"])
    assert back.model.fingerprint == rec.model.fingerprint
    assert back.model.limits == rec.model.limits
    test = split[2]
    if name in EXACT:
        np.testing.assert_allclose(back.model.factors.items, rec.model.factors.items)
        return
    moved, left = (np.abs(errors_of(one, test) - errors_of(rec, test)).mean() for one in (updated, back))
    assert left < 0.5 * moved + 1e-4


def errors_of(rec, test):
    codes = rec.model.user_vocabulary.encode(test.user_vocabulary.labels)[test.user_codes]
    return rec.predict_codes(codes, rec.model.item_vocabulary.encode(test.item_vocabulary.labels)[test.item_codes])[0]


def test_a_user_without_ratings_left_is_a_cold_start_user(bayes):
    updated = bayes.update({"user": ["lonely", "u1"], "item": ["only hers", "only hers"], "rating": [5.0, 5.0]})
    left = updated.forget(users=["lonely", "u1"])
    assert "only hers" in left.model.item_vocabulary
    prediction, low, high = left.predict("u2", "only hers")
    unknown = left.predict("u2", "never heard of")
    assert high - low == pytest.approx(unknown[2] - unknown[1], rel=0.3)
    assert prediction == pytest.approx(unknown[0], abs=0.25)


def test_what_forget_refuses(bayes):
    with pytest.raises(OptionError, match="forget needs users or items"):
        bayes.forget()
    with pytest.raises(OptionError, match="forget needs users or items"):
        bayes.forget(users=[])
    with pytest.raises(UnknownLabelError, match="unknown user 'nobody'"):
        bayes.forget(users=["u1", "nobody"])
    with pytest.raises(DataError, match="every user"):
        bayes.forget(users=list(bayes.model.user_vocabulary))
    with pytest.raises(DataError, match="every item"):
        bayes.forget(items=bayes.model.item_vocabulary.labels)


def test_nothing_rated_is_left(bayes):
    tiny = palate.Bias().fit(palate.read({"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 5]}), progress=False)
    with pytest.raises(DataError, match="no rating would be left"):
        tiny.forget(users="a", items="y")


# ---- what comes out is a model like any other


def test_answers_survive_the_file(fitted, split, tmp_path):
    _, rec = fitted
    made = rec.update(split[1]).update({"user": ["newt", "u1"], "item": ["i3", "fresh"], "rating": [4, 2]})
    made = made.forget(users=["u2"])
    made.save(tmp_path / "made.palate")
    again = palate.load(tmp_path / "made.palate")
    pairs = ["newt", "u1", "u1", "nobody"], ["fresh", "fresh", "i1", "i3"]
    assert again.predict(*pairs).equals(made.predict(*pairs))
    assert again.model.training["updates"] == made.model.training["updates"]
    assert len(made.model.training["updates"]) == 3
    assert again.recommend("newt", n=5).equals(made.recommend("newt", n=5))


def test_explanations_still_add_up(fitted):
    name, rec = fitted
    made = rec.update({"user": ["newt", "newt", "u1"], "item": ["i3", "i4", "fresh"], "rating": [4, 2, 5]})
    for user, item in (("newt", "i5"), ("u1", "fresh"), ("u4", "i3")):
        told = made.explain(user, item)
        assert sum(told.parts.values()) == pytest.approx(told.prediction, abs=1e-4)
        if name != "Popularity":
            assert told.prediction == pytest.approx(
                made.predict(user, item)[0], abs=0.02 if "ordinal" in name else 1e-3
            )
    assert len(made.explain("newt", "i5").because) == 2


def test_same_bytes_at_any_number_of_updates_like_this(bayes, split):
    one, other = bayes.update(split[1]), bayes.update(split[1])
    assert one.model.factors.users.tobytes() == other.model.factors.users.tobytes()
    assert one.model.posterior.users.vectors.tobytes() == other.model.posterior.users.vectors.tobytes()
    twice = one.update(split[1])  # the same ratings again: other random numbers
    assert twice.model.fingerprint == one.model.fingerprint
    assert not np.array_equal(twice.model.posterior.users.vectors, one.model.posterior.users.vectors)


def test_draws_are_the_fewer_the_more_is_touched():
    assert len(changed_rows._draws(32, 1.0)) == 6
    assert len(changed_rows._draws(32, 0.5)) == 12
    assert len(changed_rows._draws(32, 0.0)) == 32
    assert len(changed_rows._draws(5, 1.0)) == 5
    assert changed_rows._draws(24, 1.0).tolist() == [0, 4, 8, 12, 16, 20]


def test_draws_of_an_update_are_those_of_a_chain(monkeypatch):
    """A user's new draws against the Normal that they come from, given each draw of the items."""
    monkeypatch.setattr(changed_rows, "MIN_DRAWS", 1000)
    made = palate.datasets.synthetic(40, 30, 600, n_factors=1, seed=5)
    rec = palate.Bayes(n_factors=1, n_sweeps=600, n_samples=300, history=False).fit(made, progress=False)
    updated = rec.update({"user": ["newt"] * 5, "item": ["i1", "i2", "i3", "i4", "i5"], "rating": [5, 4, 3, 2, 1]})
    posterior = updated.model.posterior
    row = updated.model.history
    own = rows.take_rows(row, np.array([40], np.int32))
    before = replace(posterior, items=replace(posterior.items, vectors=rec.model.posterior.items.vectors))
    mode = before.solve(own, draw=False)[:, 0]
    away = []
    for s in range(len(posterior)):
        rated = before.items.vectors[s, own.indices].astype(np.float64)
        Z = np.column_stack([rated[:, :-1], np.ones(5)])
        L = np.linalg.cholesky(posterior.users.precision[s] + posterior.alpha[s] * Z.T @ Z)
        away.append(L.T @ (posterior.users.vectors[s, 40] - mode[s]))
    away = np.array(away)
    assert len(away) > 100
    assert np.abs(away.mean(axis=0)).max() < 4 / np.sqrt(len(away))
    assert np.abs(away.var(axis=0) - 1).max() < 4 * np.sqrt(2 / len(away))


# ---- real data


@pytest.mark.data
def test_ten_percent_more_of_ml_100k(ml_100k_90_10):
    train, test = ml_100k_90_10
    late = np.zeros(len(train), bool)
    late[np.random.default_rng(1).permutation(len(train))[: len(train) // 10]] = True
    rec = palate.Bayes().fit(train[~late], progress=False)
    refit = palate.Bayes().fit(train, progress=False)
    updated = rec.update(train[late])
    assert errors(updated, test) < errors(refit, test) + 0.002
    assert errors(updated, test) < errors(rec, test)
    users = updated.model.user_vocabulary.encode(test.user_vocabulary.labels)[test.user_codes]
    items = updated.model.item_vocabulary.encode(test.item_vocabulary.labels)[test.item_codes]
    _, low, high = updated.predict_codes(users, items)
    assert 0.87 < np.mean((low <= test.values) & (test.values <= high)) < 0.93
