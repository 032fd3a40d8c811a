"""Tuning: good options found, the same ones again, after a kill too; errors that help without Optuna as well."""

import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, OptionError
from palate.tuning.candidates import Candidate
from palate.tuning.storage import Storage

PLAYS = palate.datasets.synthetic(n_users=80, n_items=60, n_ratings=2400, kind="implicit", seed=3)
RECIPE = palate.ImplicitALS(n_factors=4, n_sweeps=4, n_threads=1)
SPACE = {"n_factors": [2, 4, 8], "weight_decay": (0.001, 1.0)}


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="needs palate[tune]")


def values_of(found):
    return [(trial.number, trial.params, trial.passes, trial.value, trial.state) for trial in found.entries]


# ---- what is found


def test_it_finds_better_options_than_bad_ones(optuna):
    bad = palate.ImplicitALS(n_factors=2, n_sweeps=4, weight_decay=5.0, unobserved_weight=3.0)
    found = palate.tune(bad, PLAYS, trials=19)
    first = found.entries[0]
    assert (first.params, first.state) == ({}, "finished")
    assert found.ranked[0].score > 1.1 * first.score
    assert found.best == palate.ImplicitALS(n_sweeps=4, **found.ranked[0].params)
    assert found.fit(PLAYS).model.recipe["weight_decay"] == found.best.weight_decay


def test_a_recipe_that_nothing_beats_stays(optuna):
    found = palate.tune(RECIPE, PLAYS, trials=1)
    assert found.best == RECIPE
    assert found.ended == "finished"


def test_values_are_those_of_fits_on_the_inner_split(optuna):
    """Resumed fits give the same as whole fits."""
    found = palate.tune(RECIPE, PLAYS, "recall@5", trials=10, space=SPACE, seed=2)
    inner, valid = palate.split_within_users(PLAYS, test=0.2, seed=2)
    assert {trial.passes for trial in found.entries} > {4}
    for trial in found.entries:
        options = trial.params | {"n_sweeps": trial.passes, "n_threads": 1}
        rec = palate.ImplicitALS(**{"n_factors": 4} | options).fit(inner)
        assert trial.value == palate.evaluate(rec, valid, k=5, baselines=False, n_bootstrap=1)["recall@5"]


def test_trials_may_go_by_the_next_item(optuna, tmp_path):
    kept = tmp_path / "trials.jsonl"
    options = {"trials": 4, "space": SPACE, "next_item": True, "storage": kept}
    found = palate.tune(RECIPE, PLAYS, "hit_rate@5", **options)
    inner, valid = palate.split_last(PLAYS)
    for trial in found.entries:
        options_of = trial.params | {"n_sweeps": trial.passes, "n_threads": 1}
        rec = palate.ImplicitALS(**{"n_factors": 4} | options_of).fit(inner)
        assert trial.value == palate.evaluate(rec, valid, next_item=True, k=5, n_bootstrap=1)["hit_rate@5"]
    assert values_of(palate.tune(RECIPE, PLAYS, "hit_rate@5", **options)) == values_of(found)
    with pytest.raises(OptionError, match="does not hold trials of this tuning"):
        palate.tune(RECIPE, PLAYS, "ndcg@5", **options | {"next_item": False})
    for metric in ("recall@5", "auc", "mrr@5"):
        with pytest.raises(OptionError, match=r"is none of hit_rate@k, ndcg@k .*, mrr\."):
            palate.tune(RECIPE, PLAYS, metric, trials=1, next_item=True)
    with pytest.raises(OptionError, match="next_item=True ranks what users choose next"):
        palate.tune(palate.Bias(), palate.datasets.synthetic(60, 40, 900), trials=1, next_item=True)
    with pytest.raises(DataError, match="no user has two ratings"):
        palate.tune(RECIPE, PLAYS[np.unique(PLAYS.user_codes, return_index=True)[1]], trials=1, next_item=True)


def test_a_round_is_thinned_by_thirds(optuna):
    found = palate.tune(RECIPE, PLAYS, trials=10, space=SPACE)
    passes = [trial.passes for trial in found.entries[1:]]
    assert sorted(passes) == [2, 2, 2, 2, 2, 2, 3, 3, 4]
    by_passes = {n: [t.value for t in found.entries[1:] if t.passes == n] for n in (2, 4)}
    assert len(by_passes[4]) == 1


def test_the_same_seed_finds_the_same(optuna):
    one, two = (palate.tune(RECIPE, PLAYS, trials=20, space=SPACE) for _ in range(2))
    assert values_of(one) == values_of(two)
    other = palate.tune(RECIPE, PLAYS, trials=20, space=SPACE, seed=1)
    assert values_of(other) != values_of(one)


@pytest.mark.parametrize("metric", ["rmse", "mae", None])
def test_errors_of_ratings_are_made_small(optuna, metric):
    ratings = palate.datasets.synthetic(60, 40, 1500, seed=1)
    found = palate.tune(palate.ALS(n_factors=2, n_sweeps=3), ratings, metric, trials=10)
    values = [trial.value for trial in found.entries if trial.state == "finished"]
    assert found.ranked[0].value == min(values)
    assert found.metric == (metric or "rmse")


def test_recipes_without_passes_are_measured_whole(optuna):
    ratings = palate.datasets.synthetic(60, 40, 1500, seed=1)
    found = palate.tune(palate.Bayes(history=False), ratings, trials=3, space={"n_factors": [1, 2]})
    assert {(trial.passes, trial.state) for trial in found.entries} == {(None, "finished")}


def test_the_parts_of_a_blend_are_tuned(optuna, tmp_path):
    """Their options have the part's name; the best recipe, and a file that is gone on with, are those of the blend."""
    likes = palate.datasets.synthetic(60, 40, 1500, seed=1).likes(at_least=4)
    blend = palate.Blend([palate.EASE(weight_decay=20.0), palate.ImplicitALS(n_factors=4, n_sweeps=2)], weights=[1, 1])
    space = {"EASE.dropout": [0.5], "ImplicitALS.n_factors": [3]}
    found = palate.tune(blend, likes, trials=2, space=space, storage=tmp_path / "t.jsonl", progress=False)
    assert [trial.params for trial in found.entries] == [{}, {"EASE.dropout": 0.5, "ImplicitALS.n_factors": 3}]
    assert {"EASE.dropout", "ImplicitALS.n_factors"} <= set(found.trials.columns)
    assert "ImplicitALS.n_factors" in str(found)
    tried = blend.with_options({"EASE.dropout": 0.5, "ImplicitALS.n_factors": 3})
    assert found.best in (blend, tried)
    again = palate.tune(blend, likes, trials=2, space=space, storage=tmp_path / "t.jsonl", progress=False)
    assert again.best == found.best
    for wrong in ("EASE.k", "BPR.lr"):
        with pytest.raises(OptionError, match="has no"):
            palate.tune(blend, likes, trials=2, space={wrong: [1]}, progress=False)


def test_candidates_that_cannot_be_fitted_are_noted(optuna):
    space = {"weight_decay": [0.01], "n_factors": [3, -1]}
    found = palate.tune(palate.ImplicitALS(n_sweeps=2), PLAYS, trials=2, space={"n_factors": [3, 4]})
    assert {trial.state for trial in found.entries} == {"finished"}
    with pytest.raises(OptionError, match="n_factors"):
        palate.tune(palate.ImplicitALS(n_sweeps=2), PLAYS, trials=10, space=space)


def test_time_is_kept(optuna):
    found = palate.tune(RECIPE, PLAYS, seconds=1e-9)
    assert len(found.entries) == 1


# ---- what it says


def test_table_frame_and_picture(optuna, tmp_path):
    found = palate.tune(RECIPE, PLAYS, trials=12, space=SPACE)
    frame = found.trials
    options = ["n_factors", "weight_decay", "unobserved_weight"]
    assert frame.columns == ["trial", "round", *options, "passes", "ndcg@10", "seconds", "state"]
    assert frame.height == 12
    told = str(found)
    assert told.startswith("12 trials by ndcg@10 on held-out training ratings, ")
    assert f"best: {found.best.label()}" in told
    pytest.importorskip("matplotlib")
    figure = palate.plotting.tuned(found)
    figure.savefig(tmp_path / "tuning.png")
    assert (tmp_path / "tuning.png").stat().st_size > 1000
    assert [ax.get_xlabel() for ax in figure.axes] == ["trial", "n_factors", "weight_decay"]


@pytest.mark.parametrize(
    ("recipe", "ratings", "names"),
    [
        (RECIPE, PLAYS, {"weight_decay", "unobserved_weight"}),
        (palate.EASE(), PLAYS, {"weight_decay", "user_exponent", "item_exponent"}),
        (palate.Neighbors(k=9), PLAYS, {"similarity", "shrinkage"}),
        (palate.Bayes(n_sweeps=4), palate.datasets.synthetic(60, 40, 1500, seed=1), {"n_factors", "n_samples"}),
        (palate.ALS(n_factors=3), palate.datasets.synthetic(60, 40, 1500, seed=1), set()),
    ],
)
def test_the_values_chosen_from_the_ratings_are_those_used(recipe, ratings, names):
    taken = recipe.data_defaults(ratings)
    assert set(taken) == names
    assert recipe.__class__(**{**recipe.options(), **taken}).data_defaults(ratings) == {}
    told, left = (made.fit(ratings).model.factors for made in (replace(recipe, **taken), recipe))
    assert told.users.tobytes() == left.users.tobytes()
    assert told.items.tobytes() == left.items.tobytes()
    if isinstance(recipe, palate.EASE):
        assert told.weights.tobytes() == left.weights.tobytes()


def test_the_values_chosen_from_the_ratings_are_shown(optuna, tmp_path):
    options = {"trials": 4, "space": {"n_factors": [2, 4]}}
    found = palate.tune(RECIPE, PLAYS, **options, storage=tmp_path / "t.jsonl")
    inner, _ = palate.split_within_users(PLAYS, test=0.2, seed=0)
    problem = RECIPE.resolved(inner)._problem(inner)
    assert found.entries[0].taken == {
        "unobserved_weight": problem.unobserved_weight,
        "weight_decay": problem.weight_decay,
    }
    frame = found.trials
    assert frame["unobserved_weight"].to_list() == [problem.unobserved_weight] * 4
    assert frame["n_factors"][0] == 4
    row = next(row for row in found.cells() if row[0] == "0")
    assert row[2:5] == ["4", f"{problem.unobserved_weight:.4g}*", f"{problem.weight_decay:.4g}*"]
    assert "\n* not given: chosen from the training ratings" in str(found)
    again = palate.tune(RECIPE, PLAYS, **options, storage=tmp_path / "t.jsonl")
    assert again.entries == found.entries
    assert "taken" not in (tmp_path / "t.jsonl").read_text()
    given = palate.ImplicitALS(n_factors=4, n_sweeps=2, unobserved_weight=0.1, weight_decay=0.1)
    assert "*" not in str(palate.tune(given, PLAYS, **options))


# ---- going on


def test_a_kill_loses_at_most_a_round(optuna, tmp_path, monkeypatch):
    whole = palate.tune(RECIPE, PLAYS, trials=20, space=SPACE)
    path = tmp_path / "tuning.jsonl"
    append = Storage.append

    def killed(self, trials):
        if trials[0].round == 2:
            raise SystemExit
        append(self, trials)

    monkeypatch.setattr(Storage, "append", killed)
    with pytest.raises(SystemExit):
        palate.tune(RECIPE, PLAYS, trials=20, space=SPACE, storage=path)
    monkeypatch.setattr(Storage, "append", append)
    assert len(path.read_text().splitlines()) == 1 + 10
    again = palate.tune(RECIPE, PLAYS, trials=20, space=SPACE, storage=path)
    assert values_of(again) == values_of(whole)
    assert len(path.read_text().splitlines()) == 1 + 20
    assert values_of(palate.tune(RECIPE, PLAYS, trials=20, space=SPACE, storage=path)) == values_of(whole)


def test_a_torn_round_is_done_again(optuna, tmp_path):
    path = tmp_path / "tuning.jsonl"
    whole = palate.tune(RECIPE, PLAYS, trials=10, space=SPACE, storage=path)
    written = path.read_bytes()
    for cut in (len(written) - 1, len(written) - 40, len(written) - 900):
        path.write_bytes(written[:cut])
        assert values_of(palate.tune(RECIPE, PLAYS, trials=10, space=SPACE, storage=path)) == values_of(whole)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]\n", b'{"palate": "tuning 1"}\n', b"user,item\n1,2\n", b"null\n"]
)
def test_a_file_of_something_else_is_left_alone(optuna, tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(OptionError, match="does not hold trials of this tuning"):
        palate.tune(RECIPE, PLAYS, trials=2, storage=path)
    assert path.read_bytes() == content


def test_a_storage_is_of_one_tuning(optuna, tmp_path):
    path = tmp_path / "tuning.jsonl"
    palate.tune(RECIPE, PLAYS, trials=1, storage=path)
    for recipe, ratings, options in (
        (palate.ImplicitALS(n_factors=5), PLAYS, {}),
        (RECIPE, PLAYS[:-1], {}),
        (RECIPE, PLAYS, {"metric": "recall@5"}),
        (RECIPE, PLAYS, {"seed": 1}),
    ):
        with pytest.raises(OptionError, match="does not hold trials of this tuning"):
            palate.tune(recipe, ratings, trials=1, storage=path, **options)
    with pytest.raises(OptionError, match="cannot be written"):
        palate.tune(RECIPE, PLAYS, trials=1, storage=tmp_path / "none" / "tuning.jsonl")


def test_a_hostile_storage_runs_nothing(optuna, tmp_path):
    path = tmp_path / "tuning.jsonl"
    palate.tune(RECIPE, PLAYS, trials=1, space=SPACE, storage=path)
    head = path.read_text().splitlines()[0]
    for line in ({"of": 1}, {"round": 0, "of": 1, "more": 1}, {"of": "x", "round": []}):
        path.write_text(f"{head}\n{json.dumps(line)}\n")
        assert len(palate.tune(RECIPE, PLAYS, trials=1, space=SPACE, storage=path).entries) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"params": {"n_factors": 4, "seed": 3}},
        {"params": {"n_factors": 4}},
        {"params": {"n_factors": "4", "weight_decay": 0.1}},
        {"params": {"n_factors": 3, "weight_decay": 0.1}},
        {"params": {"n_factors": 4, "weight_decay": 10**400}},
        {"params": {"n_factors": 4, "weight_decay": -1.0}},
        {"params": {"n_factors": 4, "weight_decay": True}},
        {"value": float("nan")},
        {"value": float("inf")},
        {"seconds": float("inf")},
        {"state": "best"},
    ],
)
def test_a_trial_that_was_never_written_is_left_out(optuna, tmp_path, lie):
    path = tmp_path / "tuning.jsonl"
    true = palate.tune(RECIPE, PLAYS, trials=1, space=SPACE, storage=path)
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{json.dumps(json.loads(line) | {'value': 0.99} | lie)}\n")
    again = palate.tune(RECIPE, PLAYS, trials=1, space=SPACE, storage=path)
    assert values_of(again) == values_of(true)


def test_a_page_of_the_trials(optuna, tmp_path, monkeypatch):
    found = palate.tune(RECIPE, PLAYS, trials=4, space=SPACE)
    page = palate.plotting.write_page(found, tmp_path / "tuning.html").read_text(encoding="utf-8")
    assert "<h1>palate: ImplicitALS, tuned</h1>" in page
    assert all(f"<td>{cell}</td>" in page for row in found.cells()[1:] for cell in row)
    assert '<img alt="ndcg@10 of each trial' in page
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "No picture: " in palate.plotting.write_page(found, tmp_path / "tuning.html").read_text(encoding="utf-8")
    told = json.loads(json.dumps(found.to_dict()))
    assert told["best"] == {"name": "ImplicitALS", **found.best.options()}
    assert [trial["value"] for trial in told["trials"]] == [trial.value for trial in found.entries]


def test_ctrl_c_keeps_what_was_found(optuna, monkeypatch):
    measure = Candidate.measure

    def stopped(self, *args):
        if self.params and len(seen) > 12:
            raise KeyboardInterrupt
        seen.append(self.params)
        measure(self, *args)

    seen = []
    monkeypatch.setattr(Candidate, "measure", stopped)
    found = palate.tune(RECIPE, PLAYS, trials=50, space=SPACE)
    assert found.ended == "interrupted"
    assert "interrupted" in str(found)
    assert len(found.entries) == 10
    assert found.best.fit(PLAYS)


def test_ctrl_c_before_anything_is_found_is_ctrl_c(optuna, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Candidate, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        palate.tune(RECIPE, PLAYS, trials=3)


def test_optuna_is_left_as_it_was(optuna):
    before = optuna.logging.get_verbosity(), np.random.get_state()[1].tolist()  # noqa: NPY002
    palate.tune(RECIPE, PLAYS, trials=3)
    assert (optuna.logging.get_verbosity(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


# ---- errors


def test_options_that_make_no_sense():
    for options, words in (
        ({"metric": "ndgc@10"}, "'ndgc@10' is none of ndcg@k"),
        ({"metric": "ndcg"}, "such as ndcg@10"),
        ({"metric": "ndcg@010"}, "'ndcg@010' is none of"),
        ({"metric": "ndcg@0"}, "none of"),
        ({"metric": "ndcg@10\n"}, "none of"),
        ({"metric": "ndcg@1" + "0" * 5000}, "none of"),
        ({"metric": "recall@١٠"}, "none of"),
        ({"metric": "rmse"}, "none of"),
        ({"space": {"factors": [1]}}, "no option 'factors'; there are n_factors"),
        ({"space": {"n_factors": (0, 5)}}, "both above 0"),
        ({"space": {"n_factors": []}}, "list of choices"),
        ({"space": {}}, "nothing to tune"),
        ({"trials": 0}, "trials"),
        ({"seconds": 0}, "seconds"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(OptionError, match=words):
            palate.tune(RECIPE, PLAYS, **options)
    with pytest.raises(OptionError, match="'rmse', 'mae'"):
        palate.tune(palate.ALS(), palate.datasets.synthetic(60, 40, 1200), "ndcg@10")
    with pytest.raises(OptionError, match="Popularity has nothing to tune"):
        palate.tune(palate.Popularity(), PLAYS)
    with pytest.raises(OptionError, match="likes"):
        palate.tune(RECIPE, palate.datasets.synthetic(60, 40, 1200))
    with pytest.raises(OptionError, match="recipe must be"):
        palate.tune("ImplicitALS", PLAYS)
    with pytest.raises(OptionError, match=r"palate\.read"):
        palate.tune(RECIPE, [1, 2])
    with pytest.raises(DataError, match="no ratings to tune"):
        palate.tune(RECIPE, PLAYS[:0])


def test_nothing_to_hold_out(optuna):
    few = palate.read({"user": [1, 2, 3], "item": [1, 1, 2]}, kind="implicit")
    with pytest.raises(DataError, match="five ratings"):
        palate.tune(RECIPE, few)


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"pip install 'palate\[tune\]'"):
        palate.tune(RECIPE, PLAYS)


def test_a_candidate_with_a_table_is_measured_as_it_is_fitted():
    kinds = pl.DataFrame({"item": PLAYS.item_vocabulary.labels, "kind": ["a", "b", "c", "d"] * (PLAYS.n_items // 4)})
    train, valid = palate.split_within_users(PLAYS.with_items(kinds), test=0.2, seed=0)
    recipe = palate.ImplicitALS(n_factors=4, n_sweeps=3, weight_decay=0.05)
    measured = {}
    for each in (recipe, replace(recipe, features=False)):
        candidate = Candidate({}, each, train, 3)
        candidate.measure(1, valid, "ndcg@10")
        report = palate.evaluate(each.fit(train, progress=False), valid, k=10, baselines=False, n_bootstrap=1)
        assert candidate.value == pytest.approx(report["ndcg@10"])
        measured[each.features] = candidate.value
    assert measured[True] != measured[False]
