"""`--next-item` and `--split`: what is held out, what is measured, and what is refused in a sentence."""

import numpy as np
import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, palate, parsed, refused


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("next")
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 30, 500), "item": rng.integers(0, 25, 500) ** 2 // 25})
    frame = frame.with_columns(time=pl.Series(rng.permutation(500) * 60)).unique(["user", "item"], maintain_order=True)
    frame.write_csv(folder / "plays.csv")
    frame.drop("time").write_csv(folder / "rows.csv")
    frame.with_columns(rating=pl.Series(rng.integers(1, 6, len(frame)))).write_csv(folder / "stars.csv")
    ratings = library.read(folder / "plays.csv", kind="implicit")
    train, test = library.split_last(ratings)
    train.to_frame().write_csv(folder / "train.csv")
    test.to_frame().write_csv(folder / "test.csv")
    library.EASE().fit(train).save(folder / "m.palate")
    return folder


def same(told, report):
    """JSON has the numbers of the report, rounded to seven digits."""
    expected = report.to_dict()
    assert set(told) == set(expected)
    for name, measure in expected["measures"].items():
        assert told["measures"][name] == pytest.approx(measure, rel=1e-6)
    assert all(told[name] == value for name, value in expected.items() if isinstance(value, int | str))


def test_evaluate_tells_what_python_tells(here):
    told = parsed("evaluate", "m.palate", "test.csv", "--next-item", cwd=here)
    test = library.read(here / "test.csv", kind="implicit")
    rec = library.load(here / "m.palate")
    same(told, library.evaluate(rec, test, next_item=True))
    text = answer("evaluate", "m.palate", "test.csv", "--next-item", "--keep-seen", cwd=here)
    assert text.rstrip() == str(library.evaluate(rec, test, next_item=True, keep_seen=True))
    done = palate("evaluate", "m.palate", "test.csv", "--next-item", cwd=here)
    assert done.returncode == 0 and "next items of" in done.stdout


@pytest.mark.parametrize("data", ["plays.csv", "rows.csv"])
def test_fit_and_compare_hold_out_the_last_events(here, data):
    fit = ("fit", data, "--kind", "implicit", "--recipe", "EASE", "--next-item", "-o", "fitted.palate")
    metrics = parsed(*fit, cwd=here)["metrics"]
    assert "split" in metrics and metrics.pop("split")
    train, test = library.split_last(library.read(here / data, kind="implicit"))
    same(metrics, library.evaluate(library.EASE().fit(train), test, next_item=True))
    compare = ("compare", data, "--kind", "implicit", "--recipes", "EASE,Popularity", "--next-item")
    told = parsed(*compare, cwd=here)
    assert (told["next_item"], told["n_train"], told["n_test"]) == (True, len(train), len(test))
    reports = {entry["name"]: entry["report"]["measures"] for entry in told["entries"]}
    assert reports["EASE"]["mrr"] == pytest.approx(metrics["measures"]["mrr"], rel=1e-6)
    text = answer(*compare, "--split", "last", cwd=here)
    assert "hit_rate@10" in text and "mrr" in text


def test_the_latest_share_can_be_held_out(here):
    told = parsed(
        "compare", "plays.csv", "--kind", "implicit", "--recipes", "EASE", "--split", "time", "--next-item", cwd=here
    )
    train, test = library.split_time(library.read(here / "plays.csv", kind="implicit"), test=0.2)
    assert (told["n_train"], told["n_test"]) == (len(train), len(test))
    told = parsed("compare", "stars.csv", "--recipes", "Bias", "--split", "time", "--test", 0.3, cwd=here)
    train, test = library.split_time(library.read(here / "stars.csv"), test=0.3)
    assert (told["n_train"], told["n_test"], told["next_item"], told["n_older"]) == (len(train), len(test), False, 0)
    assert "What a split may claim" in answer("compare", "stars.csv", "--recipes", "Bias", cwd=here)


def test_tune_goes_by_the_next_item(here):
    pytest.importorskip("optuna", reason="needs palate[tune]")
    tune = ("tune", "plays.csv", "--kind", "implicit", "--recipe", "EASE", "--trials", 3, "--next-item")
    told = parsed(*tune, "--split", "last", "--metric", "mrr", cwd=here)
    train, _ = library.split_last(library.read(here / "plays.csv", kind="implicit"))
    found = library.tune(library.EASE(), train, "mrr", trials=3, next_item=True)
    values = [trial.value for trial in found.entries]
    assert [trial["value"] for trial in told["trials"]] == pytest.approx(values, rel=1e-6)
    assert "--split last --next-item" in told["command"]


def test_check_looks_at_order_where_it_is_asked_to(here):
    rng = np.random.default_rng(0)
    walks = pl.DataFrame({
        "user": np.repeat(np.arange(120), 8),
        "item": ((rng.integers(0, 30, 120)[:, None] + np.arange(8)) % 30).ravel(),
        "time": np.tile(np.arange(8) * 60, 120),
    })  # fmt: skip
    walks.write_csv(here / "walks.csv")
    walks.drop("time").write_csv(here / "walks-in-rows.csv")
    for args, is_told in ((("walks.csv",), True), (("walks.csv", "--no-order"), False),
                          (("walks-in-rows.csv",), False), (("walks-in-rows.csv", "--order"), True)):  # fmt: skip
        told = parsed("check", *args, "--kind", "implicit", cwd=here)
        says = [finding["says"] for finding in told["findings"] if finding["name"] == "order"]
        assert len(says) == is_told and all(text.startswith("Order matters: order-aware ") for text in says)


REFUSED = {
    ("check", "stars.csv", "--order"): "--order looks at the order of choices, and these are ratings",
    ("compare", "plays.csv", "--kind", "implicit", "--next-item", "--split", "random"): "add --split last, or time",
    ("compare", "plays.csv", "--kind", "implicit", "--next-item", "--test", "0.1"): "add --split last, or time",
    ("compare", "plays.csv", "--kind", "implicit", "--split", "last", "--test", "0.1"): "leave out --test",
    ("compare", "plays.csv", "--kind", "implicit", "--split", "newest"): "--split newest is not valid; use one of",
    (
        "compare",
        "stars.csv",
        "--next-item",
    ): "--next-item ranks what users choose next, and these are ratings: take --likes",
    ("compare", "rows.csv", "--kind", "implicit", "--split", "time"): "no times",
    ("fit", "plays.csv", "--kind", "implicit", "--split", "time", "-o", "x.palate"): "give it with --test",
    ("tune", "plays.csv", "--kind", "implicit", "--next-item", "--test", "0.2"): "add --split last, or time",
    ("tune", "plays.csv", "--kind", "implicit", "--next-item", "--metric", "recall@5"): "hit_rate@k, ndcg@k",
    ("evaluate", "m.palate", "test.csv", "--next-item", "--diversity", "0.3"): "leave out --diversity, or --next-item",
}


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
def test_refusals(here, args):
    assert REFUSED[args] in refused(*args, cwd=here)
