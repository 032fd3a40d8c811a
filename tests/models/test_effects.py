"""Time effects of a trained model: against a loop by hand, in files, and through when=."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate import storing
from palate.errors import DataError, OptionError, TamperedModelError
from palate.models import effects
from palate.models.effects import DAY, YEAR, Drift, KeyedEffects, Sessions, TimeEffects

some = settings(max_examples=60, deadline=None)
NOW = 1_600_000_000


def sessions_of(rows, gap, prior=0.5, seed=0):
    """Sessions from (user, start, end), sorted, with made-up effects."""
    rng = np.random.default_rng(seed)
    users, starts, ends = np.array(sorted(rows), np.int64).reshape(-1, 3).T
    mean, variance = rng.standard_normal(len(users)), rng.random(len(users)) * prior
    return Sessions(
        gap, prior, users.astype(np.int32), starts, ends, mean.astype(np.float32), variance.astype(np.float32)
    )


def groups_of(keys, prior, seed=0):
    rng = np.random.default_rng(seed)
    mean, variance = rng.standard_normal(len(keys)), rng.random(len(keys)) * prior
    return KeyedEffects(prior, np.array(sorted(keys), np.int64), mean.astype(np.float32), variance.astype(np.float32))


def small_effects():
    return TimeEffects(
        (
            sessions_of([(0, NOW, NOW + 900), (1, NOW + 50, NOW + 50), (1, NOW + DAY, NOW + DAY + 30)], 3600.0, 0.4),
            sessions_of([(0, NOW, NOW + 40), (0, NOW + 800, NOW + 900), (1, NOW + 50, NOW + 50)], 60.0, 0.2, seed=1),
        ),
        groups_of([NOW // DAY, NOW // DAY + 1], 0.1),
        Drift(NOW + DAY, 4, groups_of([0 * 4 + 1, 0 * 4 + 3, 2 * 4 + 2], 0.3)),
    )


def by_hand(given, user, item, when):
    """Mean and variance at one moment, by a loop."""
    mean = variance = 0.0
    now = when is None or np.isnan(when)
    for level in given.sessions:
        variance += level.prior
        away = {
            at: max(float(start) - when, when - float(end), 0.0)
            for at, (own, start, end) in enumerate(zip(level.users, level.starts, level.ends, strict=True))
            if not now and own == user
        }
        if away and min(away.values()) <= level.gap:
            at = min(away, key=away.get)  # the earlier one of equals
            mean, variance = float(level.mean[at]), float(level.variance[at])
    tables = []
    if given.days is not None:
        tables.append((given.days, None if now else when // DAY))
    past = 0 if now or given.drift is None else int(min(max((given.drift.latest - when) // YEAR, 0), 3))
    if past:
        tables.append((given.drift.effects, item * 4 + past if item >= 0 else None))
    for table, key in tables:
        known = np.flatnonzero(table.keys == key) if key is not None else []
        mean += float(table.mean[known[0]]) if len(known) else 0.0
        variance += float(table.variance[known[0]]) if len(known) else table.prior
    return mean, variance


@st.composite
def levels(draw):
    """Sessions of three users on a short line of time, none overlapping."""
    rows = []
    for user in range(3):
        marks = draw(st.lists(st.integers(-40, 60), max_size=8, unique=True))
        ends = sorted(marks)[: len(marks) // 2 * 2]
        rows += [(user, *pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    return sessions_of(rows, draw(st.sampled_from([0.0, 1.0, 5.0, 100.0])), seed=draw(st.integers(0, 99)))


timestamps = st.one_of(st.integers(-60, 80).map(float), st.floats(-60, 80), st.just(float("nan")))


@given(st.lists(levels(), max_size=3), st.lists(st.tuples(st.integers(-1, 3), timestamps), min_size=1, max_size=30))
@some
def test_a_timestamp_belongs_to_the_nearest_session_within_the_gap(given_levels, asked):
    whole = TimeEffects(tuple(given_levels))
    users, when = np.array([user for user, _ in asked], np.int32), np.array([timestamp for _, timestamp in asked])
    mean, variance = whole.at(users, np.zeros(len(users), np.int32), when)
    expected = [by_hand(whole, user, 0, timestamp) for user, timestamp in asked]
    np.testing.assert_allclose(mean, [one for one, _ in expected], atol=1e-6)
    np.testing.assert_allclose(variance, [one for _, one in expected], atol=1e-6)


@given(
    st.lists(
        st.tuples(
            st.integers(-1, 2),
            st.integers(-1, 3),
            st.one_of(st.just(float("nan")), st.integers(NOW - 5 * YEAR, NOW + YEAR).map(float),
                      st.integers(NOW - 4000, NOW + 2 * DAY).map(float)),
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
@some
def test_sessions_days_and_drift_add_up(asked):
    whole = small_effects()
    users, items, when = (np.array(column) for column in zip(*asked, strict=True))
    mean, variance = whole.at(users.astype(np.int32), items.astype(np.int32), when)
    expected = np.array([by_hand(whole, *one) for one in asked])
    np.testing.assert_allclose(np.column_stack([mean, variance]), expected, atol=1e-6)
    turned = whole.transposed().at(items.astype(np.int32), users.astype(np.int32), when)
    np.testing.assert_array_equal(np.stack(turned), np.stack([mean, variance]))


def test_at_an_unknown_time_the_effects_have_their_prior():
    whole = small_effects()
    for when in (None, np.full(3, np.nan)):
        mean, variance = whole.at(np.array([0, 1, -1], np.int32), np.array([0, 2, -1], np.int32), when)
        np.testing.assert_array_equal(mean, 0)
        np.testing.assert_allclose(variance, whole.unknown_variance)
    assert whole.unknown_variance == pytest.approx(0.4 + 0.2 + 0.1)
    assert TimeEffects().unknown_variance == 0


def test_without_users_removes_their_sessions():
    whole, users = small_effects(), np.array([0, 1], np.int32)
    left = whole.without_users(np.array([0]))
    assert all(0 not in level.users for level in left.sessions)
    when = np.full(2, NOW + 50.0)
    before, after = (one.at(users, users, when)[0] for one in (whole, left))
    assert before[1] == after[1]
    assert after[0] == left.days.at(np.array([NOW // DAY]))[0][0] != before[0]


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1e17, 1e17), st.integers(-3, 3).map(lambda n: n * 86400.0)))
)
@some
def test_a_day_begins_at_midnight_and_no_day_is_that_of_an_unknown_time(when):
    found = effects.days_of(np.array(when, np.float64))
    assert found.dtype == np.int64
    for day, moment in zip(found.tolist(), when, strict=True):
        if np.isnan(moment):
            assert day * 86400 < np.iinfo(np.int64).min  # before every timestamp
        else:
            assert day == int(moment // 86400)


@given(st.integers(-(10**10), 10**10), st.integers(2, 9), st.lists(st.floats(-12, 12), min_size=1))
@some
def test_periods_are_years_back_from_the_latest_rating(latest, n_periods, years):
    when = np.array([latest + year * YEAR for year in years] + [latest, latest - YEAR, latest - YEAR + 1, np.nan])
    found = effects.periods_of(when, latest, n_periods)
    expected = [0 if np.isnan(one) else min(max(math.floor((latest - one) / YEAR), 0), n_periods - 1) for one in when]
    assert found.tolist() == expected
    assert found[-4:].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_subset_keeps_its_effects_under_new_codes(exchanged):
    """Of users and items both, and of models without one or the other kind of effect."""
    users, items = np.array([False, True]), np.array([True, False, True])
    sides = (items, users) if exchanged else (users, items)
    when = np.array([NOW + 50.0, NOW + DAY + 10.0, NOW - YEAR])
    for whole in (small_effects(), replace(small_effects(), drift=None), replace(small_effects(), sessions=())):
        left = replace(whole, exchanged=exchanged).subset(*sides)
        assert (left.drift is None) == (whole.drift is None) and left.days is whole.days
        for new_item, item in ((0, 0), (1, 2), (-1, -1)):
            asked = [np.full(3, code, np.int32) for code in ((new_item, 0) if exchanged else (0, new_item))]
            before = whole.at(np.full(3, 1, np.int32), np.full(3, item, np.int32), when)
            np.testing.assert_allclose(left.at(*asked, when), before, atol=1e-7)


# ---- in files


def unpacked(header, tensors, n_users=2, n_items=3):
    return effects.unpack(header, tensors, n_users, n_items)


@pytest.mark.parametrize("whole", [small_effects(), TimeEffects(), replace(small_effects(), days=None, drift=None)])
def test_packing_and_unpacking_keep_everything(whole):
    users, items = (side.ravel().astype(np.int32) for side in np.mgrid[-1:2, -1:3])
    for when in (NOW + 30.0, NOW + DAY + 0.0, NOW - 2 * YEAR + 0.0):
        timestamps = np.full(len(users), when)
        np.testing.assert_array_equal(
            np.stack(unpacked(*effects.pack(whole)).at(users, items, timestamps)),
            np.stack(whole.at(users, items, timestamps)),
        )
    turned = whole.transposed()
    assert effects.unpack(*effects.pack(turned), 3, 2).exchanged


def spoiled(part, change):
    header, tensors = effects.pack(small_effects())
    tensors[part] = change(tensors[part].copy())
    return header, tensors


def put(at, value):
    def change(array):
        array[at] = value
        return array

    return change


HOSTILE = {
    "a user code out of range": ("effects.session.0.users", put(2, 2)),
    "a negative user": ("effects.session.0.users", put(0, -1)),
    "users in disorder": ("effects.session.0.users", put(0, 1)),
    "a session that ends before it begins": ("effects.session.1.ends", put(1, 5)),
    "sessions that overlap": ("effects.session.0.ends", put(1, NOW + 2 * DAY)),
    "an effect that is not finite": ("effects.session.1.mean", put(0, np.nan)),
    "an infinite variance": ("effects.drift.variance", put(0, np.inf)),
    "another length": ("effects.session.0.mean", lambda array: array[1:]),
    "two dimensions": ("effects.day.mean", lambda array: array[:, None]),
    "no dimension": ("effects.day.mean", lambda array: np.float32(array[0])),
    "another type": ("effects.session.0.starts", lambda array: array.astype(np.float64)),
    "days in disorder": ("effects.day.keys", lambda array: array[::-1]),
    "an item code out of range": ("effects.drift.keys", put(2, 12)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays_are_refused(name):
    with pytest.raises((ValueError, TypeError)):
        unpacked(*spoiled(*HOSTILE[name]))


@pytest.mark.parametrize(
    "change",
    [{"sessions": [{"gap": -1, "prior": 0.1}]}, {"sessions": [{"gap": 1, "prior": "x"}]}, {"sessions": [{}] * 3},
     {"sessions": 5}, {"days": {"prior": float("nan")}}, {"days": {}},
     {"drift": {"prior": 1, "latest": 5, "n_periods": 1}},
     {"drift": {"prior": 1, "latest": 2**70, "n_periods": 4}}, {"drift": {"prior": 1, "latest": 0, "n_periods": 2**40}},
     {"drift": []}],
)  # fmt: skip
def test_hostile_headers_are_refused(change):
    header, tensors = effects.pack(small_effects())
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
        unpacked(header | change, tensors)


# ---- a whole model


@pytest.fixture(scope="module")
def timed():
    """120 users in sessions of ten ratings, each session with an effect of its own, the mood."""
    plain = palate.datasets.synthetic(120, 60, 4000, n_factors=2, noise=0.4, seed=2, step=None, scale=(-20.0, 30.0))
    place = np.arange(len(plain)) - np.searchsorted(np.sort(plain.user_codes), np.sort(plain.user_codes))
    order = np.argsort(plain.user_codes, kind="stable")
    rank = np.empty(len(plain), np.int64)
    rank[order] = place
    session = plain.user_codes * 100 + rank // 10
    mood = np.random.default_rng(3).normal(0, 0.8, session.max() + 1)
    times = NOW + (rank // 10) * 3 * DAY + (rank % 10) * 20 + plain.user_codes * 7
    vocabularies = {"user_vocabulary": plain.user_vocabulary, "item_vocabulary": plain.item_vocabulary}
    values = plain.values + mood[session]
    return palate.Ratings(plain.user_codes, plain.item_codes, values, times=times, **vocabularies), mood[session]


@pytest.fixture(scope="module")
def split(timed):
    ratings, mood = timed
    drawn = np.random.default_rng(0).permutation(len(ratings))
    return ratings[drawn[800:]], ratings[drawn[:800]], mood[drawn[:800]]


@pytest.fixture(scope="module")
def rec(split):
    return palate.Bayes(n_factors=2, n_sweeps=80, time=True).fit(split[0])


def test_planted_moods_are_found(rec, split):
    train, test, mood = split
    plain = palate.Bayes(n_factors=2, n_sweeps=80).fit(train)
    with_time, without = (palate.evaluate(one, test, baselines=False) for one in (rec, plain))
    assert with_time["rmse"] < 0.75 * without["rmse"]
    assert 0.86 < with_time["coverage_90"] < 0.95
    found, _ = rec.model.effects.at(test.user_codes, test.item_codes, test.times)
    assert np.corrcoef(found, mood)[0, 1] > 0.85
    assert rec.model.effects.unknown_variance == pytest.approx(0.64, rel=0.35)


def test_at_unknown_times_intervals_are_wider_and_calibrated(rec, split):
    _, test, _ = split
    codes = test.user_codes, test.item_codes
    _, low, high = rec.predict_codes(*codes)
    assert 0.86 < np.mean((low <= test.values) & (test.values <= high)) < 0.96
    _, known_low, known_high = rec.predict_codes(*codes, when=test.times)
    assert np.mean(known_high - known_low) < 0.8 * np.mean(high - low)
    for now, later in zip(
        rec.predict_codes(*codes), rec.predict_codes(*codes, when=test.times + 9 * YEAR), strict=True
    ):
        np.testing.assert_allclose(now, later, rtol=1e-6)


def test_random_timestamps_do_no_harm(split):
    train, test, _ = split
    times = np.random.default_rng(5).integers(0, 3 * YEAR, len(train) + len(test))
    one, other = (
        palate.Ratings(part.user_codes, part.item_codes, part.values, times=part_times,
                       user_vocabulary=part.user_vocabulary, item_vocabulary=part.item_vocabulary)
        for part, part_times in ((train, times[: len(train)]), (test, times[len(train) :]))
    )  # fmt: skip
    errors = [
        palate.evaluate(palate.Bayes(n_factors=2, n_sweeps=60, time=time).fit(one), other, baselines=False)["rmse"]
        for time in (False, True)
    ]
    assert errors[1] < 1.02 * errors[0]


def test_when_is_a_number_a_date_or_a_text_and_one_for_all_or_one_for_each(rec, split):
    test = split[1]
    frame = test[:5].to_frame()
    users, items, times = frame["user"].to_list(), frame["item"].to_list(), frame["time"].to_list()
    each = rec.predict(users, items, when=times)
    assert each.equals(rec.predict(frame))  # the time column of a frame
    assert each.equals(rec.predict(frame.rename({"time": "timestamp"}).to_pandas()).pipe(pl.from_pandas))
    dates = [datetime.fromtimestamp(time, UTC) for time in times]
    assert each.equals(rec.predict(users, items, when=dates))
    assert each.equals(rec.predict(users, items, when=[date.replace(tzinfo=None).isoformat() for date in dates]))
    assert each.equals(rec.predict(users, items, when=np.array(times)))
    for at, time in enumerate(times):
        assert rec.predict(users[at], items[at], when=time) == pytest.approx(each.row(at)[2:])
    assert rec.predict(users, items, when=times[0]).row(0) == each.row(0)
    now = rec.predict(users, items)
    assert not now.equals(each)
    np.testing.assert_allclose(now[:, 2:], rec.predict(users, items, when=[None] * 5)[:, 2:])
    assert now.equals(rec.predict(frame.drop("time")))
    for bad in ("yesterday", "", True, object(), [1]):
        with pytest.raises((DataError, OptionError), match=r"is no time|a moment|moments"):
            rec.predict(users[:2], items[:2], when=[times[0], bad])
    with pytest.raises(OptionError, match="3 times for 5 rows"):
        rec.predict(users, items, when=times[:3])


def test_a_model_without_effects_ignores_when(split):
    plain = palate.Bayes(n_factors=2, n_sweeps=10).fit(split[0])
    assert plain.model.effects is None
    assert plain.predict("u1", "i1", when=NOW) == plain.predict("u1", "i1")
    assert "time" not in plain.explain("u1", "i1", when=NOW).parts


def test_the_parts_of_an_explanation_include_time_and_add_up(rec, split):
    for row in split[1][:10].to_frame().rows(named=True):
        asked = {"user": row["user"], "item": row["item"], "when": row["time"]}
        why = rec.explain(**asked)
        assert sum(why.parts.values()) == pytest.approx(rec.predict(asked["user"], asked["item"], when=row["time"])[0])
        assert why.prediction == pytest.approx(sum(why.parts.values()))
        found = rec.model.effects.at(split[1].user_codes[:10], split[1].item_codes[:10], split[1].times[:10])[0]
        assert why.parts["time"] == pytest.approx(found[list(split[1][:10].to_frame()["time"]).index(row["time"])])
        assert "time" not in rec.explain(row["user"], row["item"]).parts


def test_effects_are_saved_and_loaded(rec, split, tmp_path):
    test = split[1]
    rec.save(tmp_path / "timed.palate")
    back = palate.load(tmp_path / "timed.palate")
    codes = test.user_codes, test.item_codes
    for when in (None, test.times):
        for one, other in zip(rec.predict_codes(*codes, when=when), back.predict_codes(*codes, when=when), strict=True):
            np.testing.assert_array_equal(one, other)
    assert palate.evaluate(back.compact(), test, baselines=False)["rmse"] == pytest.approx(
        palate.evaluate(rec, test, baselines=False)["rmse"]
    )


def test_a_file_with_inconsistent_effects_is_refused(rec, tmp_path):
    level = rec.model.effects.sessions[0]
    lying = replace(level, users=np.full_like(level.users, rec.n_users))
    model = replace(rec.model, effects=replace(rec.model.effects, sessions=(lying,)))
    storing.save(model, tmp_path / "lying.palate")
    with pytest.raises(TamperedModelError, match="out of range"):
        palate.load(tmp_path / "lying.palate")


def test_exchanging_users_and_items_keeps_the_effects(rec, split):
    test = split[1][:50]
    turned = palate.Recommender(rec.model.transposed())
    one = rec.predict_codes(test.user_codes, test.item_codes, when=test.times)
    other = turned.predict_codes(test.item_codes, test.user_codes, when=test.times)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    assert rec.fold_in({"u1": 4.0, "u2": 3.0}, side="item").predict("u3").low < 100


def test_a_drift_in_a_file_has_two_periods_or_more_and_keys_within_them():
    def stored(n_periods=2, latest=0, keys=(0, 5)):
        parts = {"keys": np.array(keys, np.int64), "mean": np.zeros(2, np.float32), "variance": np.ones(2, np.float32)}
        header = {"sessions": [], "drift": {"prior": 1.0, "latest": latest, "n_periods": n_periods}}
        return effects.unpack(header, {f"effects.drift.{name}": part for name, part in parts.items()}, 2, 3).drift

    assert (stored().n_periods, stored(n_periods=2**31 - 1).n_periods) == (2, 2**31 - 1)
    assert stored(latest=2**63 - 1).latest == 2**63 - 1
    for wrong in ({"n_periods": 1, "keys": (0, 1)}, {"n_periods": 2**31}, {"latest": 2**63}, {"latest": -(2**63)},
                  {"keys": (0, 6)}, {"keys": (-1, 0)}, {"keys": (1, 1)}):  # fmt: skip
        with pytest.raises(ValueError, match=r"effects\.drift"):
            stored(**wrong)


def test_a_subset_of_items_drifts_as_they_did():
    keys = np.array([0, 1, 4, 6, 8], np.int64)  # item * 3 + period
    numbers = np.arange(1, 6, dtype=np.float32)
    drift = Drift(NOW, 3, KeyedEffects(9.0, keys=keys, mean=numbers, variance=numbers / 10))
    kept = np.array([True, False, True])
    when = np.repeat(NOW - np.arange(3) * YEAR, 2).astype(float)
    whole = drift.at(np.tile([0, 2], 3), when)
    subset = drift.subset(kept).at(np.tile([0, 1], 3), when)
    np.testing.assert_array_equal(whole, subset)
    assert len(np.unique(whole[0])) > 2
