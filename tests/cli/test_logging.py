"""--log and --quiet: what stands on standard error, in which form; standard output stays the answer."""

import json
import re

import pytest

import palate
from helpers.command_line import answer, ask
from palate.cli.job import typed_form

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logging")
    palate.datasets.synthetic(60, 40, 1200, seed=1).to_frame().write_csv(folder / "ratings.csv")
    (folder / "odd.csv").write_text("user,item,rating\nann,tea,5\nann,tea,4\nbob,jam,3\nbob,tea,none\n")
    answer("fit", "ratings.csv", "--recipe", "Bias", "-o", "m.palate", cwd=folder)
    return folder


def events(done):
    """The objects on standard error, each of them with the same first keys."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    for one in found:
        assert list(one)[:4] == ["time", "level", "event", "message"]
        assert WHEN.fullmatch(one["time"])
    return found


def test_every_line_is_an_object_and_the_answer_stays_as_it_is(here):
    fit = [
        "fit",
        "ratings.csv",
        "--recipe",
        "ALS",
        "--n-sweeps",
        3,
        "--test",
        0.2,
        "--checkpoint",
        "c",
        "-o",
        "a.palate",
    ]
    done = ask(*fit, "--log", "json", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    told = {one["event"]: one for one in events(done)}
    assert list(told) == ["fit_started", "fit_finished", "model_saved", "evaluated"]
    assert told["fit_started"] | {"ratings": 960, "users": 60, "items": 40, "kind": "explicit"} == told["fit_started"]
    assert told["fit_finished"] | {"sweeps": 3, "ended": "finished", "level": "info"} == told["fit_finished"]
    assert told["fit_finished"]["train_rmse"] > 0
    answered = json.loads(done.stdout)
    rmse = answered["metrics"]["measures"]["rmse"]["value"]
    assert told["evaluated"]["measures"]["rmse"] == pytest.approx(rmse, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nowhere.palate"], 1),
        (["show"], 2),
        (["fit", "ratings.csv", "-o", "m.palate", "--n-factors", "many"], 2),
        (["evaluate", "m.palate", "ratings.csv", "--fail-if", "rmse > 0"], 3),
        (["predict", "m.palate", "u1"], 2),
    ],
    ids=["error", "missing-argument", "no-integer", "failed-gate", "own-usage-error"],
)
def test_errors_are_objects_too(here, words, code):
    done = ask(*words, "--log", "json", cwd=here)
    assert done.returncode == code
    last = events(done)[-1]
    assert last["level"] == "error"
    assert last["exit_code"] == code
    assert last["message"]


def test_notes_are_objects_or_quiet_or_lines(here):
    read = ["fit", "odd.csv", "--on-bad-rows", "report", "--recipe", "Mean", "-o", "o.palate"]
    noted = ask(*read, cwd=here)
    assert noted.stderr.startswith("palate: 4 rows read")
    notes = [one for one in events(ask(*read, "--log", "json", cwd=here)) if one["event"] == "note"]
    assert [f"palate: {one['message']}" for one in notes] == noted.stderr.splitlines()
    quiet = ask(*read, "--quiet", cwd=here)
    assert quiet.stderr == ""
    assert quiet.stdout.split(" in ")[0] == noted.stdout.split(" in ")[0]
    assert "fit_finished" in ask(*read, "-q", "--log", "text", cwd=here).stderr


def test_quiet_keeps_errors(here):
    done = ask("show", "nowhere.palate", "--quiet", cwd=here)
    assert done.returncode == 1 and done.stderr.startswith("palate: ")
    assert "--fail-if" not in ask("-q", "evaluate", "m.palate", "ratings.csv", "--fail-if", "rmse > 0", cwd=here).stderr


def test_lines_of_text_have_the_same_fields(here):
    done = ask("update", "m.palate", "ratings.csv", "-o", "u.palate", "--log", "text", cwd=here)
    lines = done.stderr.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["info", "model_loaded"], ["info", "updated"], ["info", "model_saved"],
    ]  # fmt: skip
    assert all(WHEN.fullmatch(line.split()[0]) for line in lines)
    assert "new_users=0" in lines[1]


def test_the_options_may_stand_before_the_command(here):
    done = ask("--log", "json", "show", "m.palate", cwd=here)
    assert [one["event"] for one in events(done)] == ["model_loaded"]
    assert ask("show", "m.palate", "--log", "xml", cwd=here).returncode == 2


def test_nothing_is_logged_unless_asked_for_and_no_run_leaves_a_handler(here):
    ask("show", "m.palate", "--log", "json", cwd=here)
    assert ask("show", "m.palate", cwd=here).stderr == ""
    assert ask("show", "m.palate", "--log", "none", cwd=here).stderr == ""


def test_no_label_stands_in_the_log(here):
    done = ask("predict", "m.palate", "somebody-secret", "i2", "--log", "json", cwd=here)
    assert done.returncode == 0
    cold = next(one for one in events(done) if one["event"] == "cold")
    assert cold | {"level": "warning", "question": "predict", "asked": 1, "cold_users": 1} == cold
    assert "somebody-secret" not in done.stderr


def test_the_form_of_errors_is_what_is_typed():
    assert typed_form(["fit", "--log", "json"]) == typed_form(["--log=json", "fit"]) == "json"
    assert typed_form(["fit", "--", "--log", "json"]) == typed_form(["fit", "--log"]) == "none"
    assert typed_form(["fit", "--log", "xml"]) == "none"
