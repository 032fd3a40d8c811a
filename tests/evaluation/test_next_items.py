"""Next items: reports against a slow loop that asks and sorts, event by event; what is a miss; sessions; refusals."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.ordered import Ordered
from palate.answers.observed import attributes_of
from palate.errors import DataError, OptionError
from palate.evaluation.events import blocks_of, events_of, history_before, session_starts
from palate.evaluation.next_items import EventMeasures, NextItemReport, rank_next
from palate.evaluation.rank_metrics import UNREACHABLE
from palate.evaluation.resampling import Measure, Resample

RECIPES = [
    palate.EASE(),
    palate.SparseEASE(k=5),
    palate.ImplicitALS(n_factors=3),
    palate.Neighbors(k=6),
    palate.BPR(n_factors=4, n_epochs=3),
    palate.Popularity(),
    palate.EASE(recency=2),
    palate.ImplicitALS(n_factors=3, recency=3),
    palate.SparseEASE(k=5, half_life=40_000),
    palate.Sequence(),
]


def choices(n_users=12, n_items=15, n=100, seed=0, *, times=True, counts=False, repeats=False, n_times=400):
    """Choices of users u00, u01, ... of items i00, i01, ...; the rows in no order of users or times."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(n_users * n_items, n, replace=repeats)
    columns = {
        "user": [f"u{cell // n_items:02}" for cell in cells],
        "item": [f"i{int((cell % n_items) ** 2 / n_items):02}" for cell in cells],  # some items are chosen more
    }
    columns |= {"time": rng.integers(0, n_times, n) * 1000} if times else {}
    columns |= {"plays": rng.integers(1, 5, n)} if counts else {}
    return palate.read(columns, kind="implicit", duplicates="keep" if repeats else "sum")


def in_order(ratings):
    """{user: [(item, count, time), ...]} by label, oldest first; all times are 0 where there are none."""
    frame = ratings.to_frame().with_row_index("row")
    frame = frame.sort("user", *(["time"] if ratings.times is not None else []), "row")
    counts = frame["weight"].to_list() if "weight" in frame.columns else [1.0] * len(frame)
    times = frame["time"].to_list() if ratings.times is not None else [0] * len(frame)
    found = {}
    for user, *event in zip(frame["user"].to_list(), frame["item"].to_list(), counts, times, strict=True):
        found.setdefault(user, []).append(tuple(event))
    return found


def slow_ranks(rec, train, test, *, keep_seen=False):
    """The rank of each test event's item, 0 for one that is not in the list: ask, then look where it stands."""
    before, ranks = in_order(train), {}
    has_counts = train.weights is not None or test.weights is not None
    is_aged = rec.model.recipe.get("half_life") is not None
    for user, events in in_order(test).items():
        past, when, is_new, ranks[user] = {}, {}, False, []
        for item, count, time in before.get(user, []):
            past[item], when[item] = past.get(item, 0) + count, time
        for item, count, time in events:
            given = past if has_counts or max(past.values(), default=1) > 1 else list(past)
            options = {"n": rec.n_items, "keep_seen": keep_seen}
            times = {"times": [when[one] for one in past]} if is_aged else {}
            listed = rec.fold_in(given, **times).recommend(**options) if is_new else rec.recommend(user, **options)
            items = listed["item"].to_list()
            ranks[user].append(items.index(item) + 1 if item in items else 0)
            if item in rec.model.item_vocabulary:
                past[item], when[item], is_new = past.get(item, 0) + count, time, True
    return ranks


def slow_measures(ranks, k):
    flat = [rank for own in ranks.values() for rank in own]
    hits = [0 < rank <= k for rank in flat]
    gains = [1 / np.log2(1 + rank) if hit else 0.0 for rank, hit in zip(flat, hits, strict=True)]
    return np.mean(hits), np.mean(gains), np.mean([1 / rank if rank else 0.0 for rank in flat])


def check(rec, train, test, **options):
    report = palate.evaluate(rec, test, next_item=True, k=(1, 4), n_bootstrap=20, **options)
    ranks = slow_ranks(rec, train, test, keep_seen=bool(options.get("keep_seen")))
    for k in (1, 4):
        expected = slow_measures(ranks, k)
        assert (report[f"hit_rate@{k}"], report[f"ndcg@{k}"], report["mrr"]) == pytest.approx(expected)
    assert report.n == len(test) == sum(map(len, ranks.values()))
    assert report.n_unknown == len(set(ranks) - set(in_order(train)))
    assert report.n_missed == sum(rank == 0 for own in ranks.values() for rank in own)
    return report


# ---- against the slow loop


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.label())
def test_every_event_is_asked_about_after_those_before_it(recipe):
    train, test = palate.split_last(choices(), 3)
    report = check(recipe.fit(train, progress=False), train, test)
    baseline = check(palate.Popularity().fit(train, progress=False), train, test)
    assert report.baselines["Popularity"] == baseline.measures
    assert (report.n_users, report.n_items, report.keep_seen, report.ordered_by) == (11, 11, False, "time")
    assert report.n_repeated == report.n_unknown == report.n_older == 0


@pytest.mark.parametrize("split", [lambda r: palate.split_last(r), lambda r: palate.split_time(r, test=0.3)])
@pytest.mark.parametrize("keep_seen", [None, True])
@pytest.mark.parametrize("kind", [{"counts": True}, {"repeats": True, "n": 140}, {"repeats": True, "counts": True}])
def test_counts_add_up_and_repeated_pairs_are_events(split, keep_seen, kind):
    train, test = split(choices(**kind))
    report = check(palate.EASE().fit(train, progress=False), train, test, keep_seen=keep_seen)
    had = {user: {item for item, *_ in own} for user, own in in_order(train).items()}
    n_repeated = 0
    for user, events in in_order(test).items():
        past = set(had.get(user, ()))
        for item, *_ in events:
            n_repeated += item in past
            past.add(item)
    assert report.n_repeated == n_repeated
    assert (report.n_missed == 0) if keep_seen else report.n_missed >= n_repeated


def test_rows_give_the_order_where_there_are_no_times():
    train, test = palate.split_last(choices(times=False), 2)
    report = check(palate.EASE().fit(train, progress=False), train, test)
    assert report.ordered_by == "row" and "in the order of rows" in str(report)
    assert report.sessions == {} and report.session_gap is None


def test_unknown_users_are_answered_by_what_they_did_and_unknown_items_are_misses():
    ratings = choices(n=110)
    frame = ratings.to_frame()
    is_new = frame["user"].is_in(["u03", "u07"]) | (frame["item"] == "i05")
    known, other = frame.filter(~is_new), frame.filter(is_new)
    train, later = palate.split_last(palate.read(known, kind="implicit"))
    test = palate.read(later.to_frame().vstack(other), kind="implicit")
    rec = palate.EASE().fit(train, progress=False)
    report = check(rec, train, test)
    assert report.n_unknown == 2
    assert report.n_missed >= report.n_new >= (test.to_frame()["item"] == "i05").sum() > 0
    assert "2 users are unknown to the model" in str(report)


def test_items_without_training_events_are_counted_as_new():
    ratings = choices()
    train, test = palate.split_rows(ratings, (ratings.item_codes == 2) | (np.arange(len(ratings)) % 9 == 0))
    report = check(palate.ImplicitALS(n_factors=2).fit(train, progress=False), train, test)
    assert report.n_new == (test.item_codes == 2).sum()
    assert f"{report.n_new} items are new" in str(report)


def test_a_user_table_counts_for_users_who_are_folded_in():
    ratings = choices().with_users({"user": [f"u{n:02}" for n in range(12)], "town": ["a", "b", "c", "d"] * 3})
    train, test = palate.split_last(ratings, 2)
    rec = palate.ImplicitALS(n_factors=2, n_sweeps=3).fit(train, progress=False)
    assert attributes_of(rec.model, np.array([3, -1]))[0]["town"] == "d"
    places, vectors, without = [], [], []
    for user, (first, then) in in_order(test).items():
        past = {item: count for item, count, _ in [*in_order(train)[user], first]}
        folded = rec.fold_in(past, features={"town": "abcd"[int(user[1:]) % 4]})
        places.append(folded.recommend(n=rec.n_items)["item"].to_list().index(then[0]) + 1)
        vectors.append(folded.vector)
        without.append(rec.fold_in(past).vector)
    events = events_of(rec, test)
    assert rank_next(rec.model, events, keep_seen=False)[0][events.is_new].tolist() == places
    _, (block, rows) = blocks_of(rec.model, events)
    np.testing.assert_array_equal(block, np.flatnonzero(events.is_new))
    np.testing.assert_allclose(rows.vectors, vectors, atol=1e-5)
    assert not np.allclose(rows.vectors, without, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_histories_are_what_came_before_in_order(seed, n, times, counts, reads_order):
    rng = np.random.default_rng(seed)
    ratings = choices(5, 6, n, seed, times=times, counts=counts, repeats=True)
    train, test = palate.split_rows(ratings, np.sort(rng.permutation(n)[: 1 + n // 2]))
    if len(train) == 0:
        return
    rec = (Ordered() if reads_order else palate.Popularity()).fit(train, progress=False)
    events, before, after = events_of(rec, test), in_order(train), in_order(test)
    labels = rec.model.item_vocabulary.labels
    asked = [(user, at) for user, own in sorted(after.items()) for at in range(len(own))]
    assert len(events) == len(asked)
    rows = history_before(rec.model, events, np.arange(len(events)))
    for row, (user, at) in enumerate(asked):
        past = before.get(user, []) + after[user][:at]
        last = {item: place for place, (item, *_) in enumerate(past)}
        kept = [entry for place, entry in enumerate(past) if reads_order or last[entry[0]] == place]
        if not reads_order:
            kept = [(item, sum(count for other, count, _ in past if other == item)) for item, *_ in kept]
        here = slice(rows.indptr[row], rows.indptr[row + 1])
        found = [str(labels[code]) for code in rows.indices[here]]
        weights = np.ones(len(found)) if rows.weights is None else rows.weights[here]
        assert list(zip(found, weights.tolist(), strict=True)) == [(item, count) for item, count, *_ in kept]
        if times:
            assert (np.diff(rows.times[here]) >= 0).all() or train.times.max() > test.times.min()


def test_blocks_ask_about_each_event_once(monkeypatch):
    train, test = palate.split_last(choices(), 3)
    rec = palate.EASE().fit(train, progress=False)
    whole = palate.evaluate(rec, test, next_item=True, n_bootstrap=5)
    monkeypatch.setattr("palate.evaluation.events.BLOCK_SCORES", 40)
    monkeypatch.setattr("palate.evaluation.events.BLOCK_EVENTS", 15)
    events = events_of(rec, test)
    blocks = [block for block, _ in blocks_of(rec.model, events)]
    assert sorted(np.concatenate(blocks)) == list(range(33)) and len(blocks) == 13
    assert palate.evaluate(rec, test, next_item=True, n_bootstrap=5) == whole


# ---- a model that reads order


@pytest.mark.parametrize("keep_seen", [None, False, True])
def test_sequences_with_repeats_are_asked_with_every_event(keep_seen):
    train, test = palate.split_last(choices(n=140, repeats=True), 3)
    rec = palate.Sequence(recency=2, weight_decay=3).fit(train, progress=False)
    ranks, before = {}, in_order(train)
    for user, events in in_order(test).items():
        session, ranks[user] = [item for item, *_ in before[user]], []
        for item, *_ in events:
            listed = rec.fold_in(list(session)).recommend(n=rec.n_items, keep_seen=keep_seen)["item"].to_list()
            ranks[user].append(listed.index(item) + 1 if item in listed else 0)
            session.append(item)
    report = palate.evaluate(rec, test, next_item=True, k=4, keep_seen=keep_seen, n_bootstrap=5)
    assert (report["hit_rate@4"], report["ndcg@4"], report["mrr"]) == pytest.approx(slow_measures(ranks, 4))
    assert report.keep_seen == (rec.model.factors.keeps_seen if keep_seen is None else keep_seen)


def test_lists_count_an_item_that_was_had_twice_as_one():
    """AUC, which counts candidates, by hand."""
    train, test = palate.split_last(choices(n=140, repeats=True), 2)
    rec = palate.Sequence(recency=2, weight_decay=3, similarity=0).fit(train, progress=False)
    shares = []
    for user, events in in_order(test).items():
        listed = rec.recommend(user, n=rec.n_items, keep_seen=False)["item"].to_list()
        held = {item for item, *_ in events}
        others = [place for place, item in enumerate(listed) if item not in held]
        won = [sum(place > listed.index(item) for place in others) if item in listed else 0 for item in held]
        shares.append(sum(won) / (len(held) * len(others)))
    assert palate.evaluate(rec, test, keep_seen=False, n_bootstrap=5)["auc"] == pytest.approx(np.mean(shares), abs=1e-6)


def test_a_model_that_reads_order_is_given_it():
    """Each user walks along the alphabet from another letter: who knows the last one knows the next one."""
    letters, walks = "abcdefgh", [(start, 6 + start % 3) for start in range(8)]
    events = [(f"u{start}", letters[(start + at) % 8], at) for start, n in walks for at in range(n)]
    events = [events[at] for at in np.random.default_rng(0).permutation(len(events))]
    columns = dict(zip(("user", "item", "time"), zip(*events, strict=True), strict=True))
    ratings = palate.read(columns, kind="implicit", duplicates="keep")
    train, test = palate.split_last(ratings, 4)
    report = palate.evaluate(Ordered().fit(train, progress=False), test, next_item=True, keep_seen=True, n_bootstrap=5)
    assert report["hit_rate@1"] == report["mrr"] == 1
    assert report.n == 32 and report.n_missed == 0
    assert palate.evaluate(palate.EASE().fit(train, progress=False), test, next_item=True, n_bootstrap=5)["mrr"] < 0.9


# ---- measures, sessions and what is said


def test_measures_by_hand():
    rec = palate.Popularity().fit(palate.read({"user": ["a", "b"], "item": ["x", "y"]}, kind="implicit"))
    test = palate.read({"user": ["a", "a", "a", "b"], "item": ["y", "z", "x", "x"]}, kind="implicit")
    events = events_of(rec, test)
    found = EventMeasures.of(events, np.array([1, UNREACHABLE, 3, 2]), (1, 2)).measures(Resample(2, 50, 0))
    values = {name: measure.value for name, measure in found.items()}
    assert values == pytest.approx({
        "hit_rate@1": 1 / 4, "hit_rate@2": 2 / 4, "ndcg@1": 1 / 4, "ndcg@2": (1 + 1 / np.log2(3)) / 4,
        "mrr": (1 + 0 + 1 / 3 + 1 / 2) / 4,
    })  # fmt: skip
    some = EventMeasures.of(events, np.array([1, UNREACHABLE, 3, 2]), (1,))
    assert some.measures(Resample(2, 50, 0), np.array([False, False, True, True]))["mrr"].value == pytest.approx(5 / 12)
    assert found["mrr"].low == pytest.approx((4 / 3) / 3) and found["mrr"].high == pytest.approx(1 / 2)


def timed(gaps):
    """One user's events with these gaps in seconds, and another's, so that there are sessions."""
    times = np.cumsum([0, *gaps])
    return palate.read(
        {
            "user": ["ann"] * len(times) + ["bob"] * len(times),
            "item": [f"i{n}" for n in range(len(times))] * 2,
            "time": [*(1_000_000 + times), *(1_000_000 + times)],
        },
        kind="implicit",
    )


def test_sessions_begin_after_the_longest_pauses_and_the_report_splits_by_them():
    """99 in 100 pauses are no longer than 5,000 seconds; there are levels of shorter sessions too."""
    gaps = [10] * 148 + [100] * 44 + [5000] * 7 + [10, 100, 90_000, 5000, 10]
    train, test = palate.split_last(timed(gaps), 6)
    rec = palate.Popularity().fit(train, progress=False)
    events = events_of(rec, test)
    gap, begins = session_starts(rec.model, events)
    by_pause = [pause > 5000 for pause in gaps[-6:]]
    assert gap == 5000 and sum(by_pause) == 1
    np.testing.assert_array_equal(begins, by_pause * 2)
    report = palate.evaluate(rec, test, next_item=True, n_bootstrap=20)
    sizes = report.session_sizes
    assert sizes == {"first of a session": sum(by_pause) * 2, "within a session": 12 - sum(by_pause) * 2}
    for name in ("ndcg@10", "mrr"):
        parts = [sizes[group] * report.sessions[group][name].value for group in sizes]
        assert sum(parts) / 12 == pytest.approx(report[name])
    text = str(report)
    assert f"first of a session ({sizes['first of a session']})" in text and "A session ends where the user" in text
    assert palate.evaluate(rec, test, next_item=True, n_bootstrap=5, k=3).to_dict()["sessions"]["within a session"]["n"]


def test_a_test_part_that_is_not_the_latest_is_told():
    ratings = choices(n=110, n_times=9)  # many events have the same time, and are not older
    train, test = palate.split_within_users(ratings, test=0.2, seed=0)
    rec = palate.Popularity().fit(train, progress=False)
    newest = {user: max(own) for user, own in times_of(train).items()}
    n_older = sum(time < newest[user] for user, own in times_of(test).items() for time in own)
    for report in (palate.evaluate(rec, test, next_item=True), palate.evaluate(rec, test)):
        assert report.n_older == report.to_dict()["n_older"] == n_older > 0
        assert f"dated, and {n_older} of the test part are older" in str(report) and "What a split may claim" in str(
            report
        )
    for train, test in (palate.split_last(ratings), palate.split_time(ratings, test=0.2)):
        rec = palate.Popularity().fit(train, progress=False)
        for report in (palate.evaluate(rec, test, next_item=True), palate.evaluate(rec, test)):
            assert report.n_older == 0 and "What a split may claim" not in str(report)


def test_predictions_are_told_to_be_hindsight_where_newer_ratings_were_learned():
    whole = palate.datasets.synthetic(30, 20, 300, seed=0)
    stars = palate.Ratings(
        whole.user_codes, whole.item_codes, whole.values, times=np.arange(300) // 2,
        user_vocabulary=whole.user_vocabulary, item_vocabulary=whole.item_vocabulary,
    )  # fmt: skip
    train, test = palate.split_random(stars, test=0.2, seed=0)
    report = palate.evaluate(palate.Bias().fit(train), test, n_bootstrap=5)
    assert report.n_older == report.to_dict()["n_older"] == (test.times < train.times.max()).sum() > 50
    assert f"{report.n_older} of the test part are older than the newest training rating" in str(report)
    later = palate.evaluate(palate.Bias().fit(test), train, n_bootstrap=5)
    assert later.n_older == (train.times < test.times.max()).sum()
    assert "What a split may claim" not in str(palate.evaluate(palate.Bias().fit(whole), whole, n_bootstrap=5))
    train, test = palate.split_time(stars, test=0.2)
    assert palate.evaluate(palate.Bias().fit(train), test, n_bootstrap=5).n_older == 0


def times_of(ratings):
    frame = ratings.to_frame()
    return {user: part["time"].to_list() for (user,), part in frame.group_by("user")}


PRINTED = """\
1,200 next items of 300 users in the order of times, ranked among all 5,000 items but those the user had had before;
means over events; in brackets, 95% bootstrap intervals over users
                            @1
hit_rate                    0.2500 (0.200 .. 0.300)
ndcg                        0.2500
mrr                         0.5000 (0.400 .. 0.600)
  Popularity                0.1000
  within a session (1,100)  0.7000
A session ends where the user pauses for longer than 1.5 hours.
1,001 items cannot be recommended, as unknown or had before: they are misses.
2 items are new: nobody had them in training.
3 items are ones that the user had had before; keep_seen=True makes them candidates.
4 users are unknown to the model: their own test events answer for them.
These ratings are dated, and 5 of the test part are older than training ratings of the same user: the model has seen \
what came later. See "What a split may claim" in the documentation.
So it is."""


def test_a_report_prints_and_is_plain():
    measures = {"hit_rate@1": Measure(0.25, 0.2, 0.3), "ndcg@1": Measure(0.25), "mrr": Measure(0.5, 0.4, 0.6)}
    report = NextItemReport(
        n=1200, n_users=300, n_items=5000, k=(1,), measures=measures, baselines={"Popularity": {"mrr": Measure(0.1)}},
        sessions={"within a session": {"mrr": Measure(0.7)}}, session_sizes={"within a session": 1100},
        session_gap=5400.0, verdict="So it is.", n_missed=1001, n_new=2, n_repeated=3, n_unknown=4, n_older=5,
    )  # fmt: skip
    assert [line.split() for line in str(report).splitlines()] == [line.split() for line in PRINTED.splitlines()]
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["measures"]["ndcg@1"] == {"value": 0.25, "low": None, "high": None}
    assert (plain["n"], plain["session_gap"], plain["sessions"]["within a session"]["n"]) == (1200, 5400.0, 1100)
    assert set(plain) == {
        name for name in vars(report) if name not in ("per_user", "session_sizes", "breakdowns", "curves")
    }
    with pytest.raises(OptionError, match=r"no measure 'recall@1'; there are hit_rate@1, ndcg@1, mrr"):
        report["recall@1"]


# ---- hostile input


def test_what_is_no_question_about_next_items_is_refused():
    stars = palate.datasets.synthetic(30, 20, 300, seed=0)
    likes = stars.likes(at_least=4)
    train, test = palate.split_last(likes)
    rec = palate.EASE().fit(train, progress=False)
    with pytest.raises(OptionError, match=r"next_item=True ranks what users choose next, and these are ratings"):
        palate.evaluate(rec, stars, next_item=True)
    with pytest.raises(OptionError, match=r"needs a model of choices, and this one learned from ratings"):
        palate.evaluate(palate.Bias().fit(stars, progress=False), test, next_item=True)
    for options in (
        {"where": "year > 3"}, {"items": ["i1"]}, {"by": "likely"}, {"diversity": 0.3}, {"max_per": {"genre": 1}},
        {"propensity": "popularity"}, {"propensity": np.ones(len(test))}, {"attribute": "genre"}, {"boost": "year"},
    ):  # fmt: skip
        with pytest.raises(
            OptionError, match=rf"whole catalogue in the order of the model: leave out {next(iter(options))}="
        ):
            palate.evaluate(rec, test, next_item=True, **options)
    with pytest.raises(DataError, match="no test ratings"):
        palate.evaluate(rec, test[:0], next_item=True)
    with pytest.raises(OptionError, match="k"):
        palate.evaluate(rec, test, next_item=True, k=0)


def test_one_event_of_one_user_is_enough():
    train = palate.read({"user": ["a", "a", "b"], "item": ["x", "y", "x"]}, kind="implicit")
    test = palate.read({"user": ["b"], "item": ["y"]}, kind="implicit")
    report = palate.evaluate(palate.Popularity().fit(train, progress=False), test, next_item=True)
    assert report["hit_rate@1"] == 1 and report.measures["mrr"] == Measure(1.0, 1.0, 1.0)
    assert report.k == (1, 5, 10, 20)
    unknown = palate.read({"user": ["z"], "item": ["q"], "time": [5]}, kind="implicit")
    report = palate.evaluate(palate.Popularity().fit(train, progress=False), unknown, next_item=True)
    assert report["mrr"] == 0 and (report.n_missed, report.n_new, report.n_unknown) == (1, 1, 1)
    assert "NOT better" in report.verdict


def test_where_hardly_anybody_pauses_there_are_no_sessions():
    rng = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{item}", 5) for user in range(60) for item in rng.permutation(12)[:6]]
    rows[5] = (*rows[5][:2], 9000)  # one pause among 300
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    train, test = palate.split_last(palate.read(frame, kind="implicit"))
    report = palate.evaluate(palate.Popularity().fit(train), test, next_item=True)
    assert report.session_gap is None and report.sessions == {}
