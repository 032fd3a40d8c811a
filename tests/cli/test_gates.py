"""--fail-if: exit code 3 when a condition on what was measured holds; the answer is given all the same."""

import json

import pytest

import palate
from helpers.command_line import answer, ask, parsed, refused
from palate.cli.exits import Exit
from palate.cli.gates import Gate, values_of


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gates")
    train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    train.to_frame().write_csv(folder / "train.csv")
    test.to_frame().write_csv(folder / "test.csv")
    palate.Bias().fit(palate.read(folder / "train.csv")).save(folder / "m.palate")
    return folder


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("value", [0.5, 1.0, 1.5])
def test_each_operator_does_what_it_says(operator, value):
    gate = Gate.parse(f"rmse{operator}1")
    told = gate.judge({"rmse": value})
    expected = {"<": value < 1, "<=": value <= 1, ">": value > 1, ">=": value >= 1, "==": value == 1, "!=": value != 1}
    assert told == {"gate": f"rmse{operator}1", "value": value, "failed": expected[operator]}


@pytest.mark.parametrize("text", ["", "rmse", "rmse >", "> 1", "rmse > much", "rmse => 1", "rmse > 1 2", "rmse > 1; x",
                                  "rmse > 1 and mae > 1", "1 < rmse < 2", "rmse == 1 != 2", "a > 1e400"])  # fmt: skip
def test_what_is_no_condition_is_wrong_usage_before_any_work(here, text):
    done = ask("evaluate", "nowhere.palate", "test.csv", "--fail-if", text, cwd=here)
    assert done.returncode == 2
    assert "--fail-if" in done.stderr


def test_percentages_spaces_and_names_with_blanks():
    gate = Gate.parse("  cold users.rmse   >=  1.5e1% ")
    assert (gate.measure, gate.operator, gate.bound) == ("cold users.rmse", ">=", pytest.approx(0.15))
    assert Gate.parse("ALS(n_factors=8).rmse==1").measure == "ALS(n_factors=8).rmse"
    assert Gate.parse("n>1").measure == "n"


def test_a_gate_that_holds_ends_with_3_and_one_that_does_not_with_0(here):
    held = ask("evaluate", "m.palate", "test.csv", "--fail-if", "rmse > 0.1", "--fail-if", "mae > 100", cwd=here)
    assert held.returncode == 3
    assert held.stdout == answer("evaluate", "m.palate", "test.csv", "--fail-if", "rmse > 100", cwd=here)
    (line,) = held.stderr.splitlines()
    assert line.startswith("palate: gate failed: rmse > 0.1: rmse is ")


def test_ends_of_intervals_baselines_and_groups_have_names(here):
    report = json.loads(answer("evaluate", "m.palate", "test.csv", "--json", cwd=here))
    values = values_of(report)
    rmse = report["measures"]["rmse"]
    assert (values["rmse"], values["rmse.low"], values["rmse.high"]) == (rmse["value"], rmse["low"], rmse["high"])
    assert values["Mean.rmse"] == report["baselines"]["Mean"]["rmse"]["value"]
    assert values["Mean.rmse.high"] == report["baselines"]["Mean"]["rmse"]["high"]
    assert values["n"] == report["n"]
    done = ask("evaluate", "m.palate", "test.csv", "--fail-if", "rmse.high < 100", "--json", cwd=here)
    assert done.returncode == 3
    assert json.loads(done.stdout)["gates"] == [{"gate": "rmse.high < 100", "value": rmse["high"], "failed": True}]


def test_an_unknown_measure_is_an_error_that_lists_those_there_and_loses_no_answer(here):
    done = ask("evaluate", "m.palate", "test.csv", "--fail-if", "rsme > 1", "--json", cwd=here)
    assert done.returncode == 1
    assert "no measure 'rsme'; did you mean rmse? there are n, n_users, rmse, " in done.stderr
    assert "of intervals rmse.low and rmse.high" in done.stderr
    assert "measures" in json.loads(done.stdout)


def test_what_was_not_measured_passes_no_gate(here):
    """A missing number must not look like a good one."""
    with pytest.raises(palate.errors.OptionError, match="was not measured"):
        Gate.parse("coverage_90 < 0.8").judge({"coverage_90": float("nan")})


def test_fit_has_gates_with_a_test_part_only(here):
    fit = ["fit", "train.csv", "--recipe", "Bias", "-o", "f.palate"]
    assert ask(*fit, "--fail-if", "rmse > 2", cwd=here).returncode == 2
    assert ask(*fit, "--fail-if", "rmse > 0.1", "--test", 0.2, cwd=here).returncode == 3
    assert (here / "f.palate").exists()
    told = parsed(*fit, "--fail-if", "rmse > 100", "--test", 0.2, cwd=here)
    assert told["gates"][0]["failed"] is False


def test_a_comparison_is_judged_by_its_best_and_by_name(here):
    compare = ["compare", "train.csv", "--recipes", "Mean,Bias", "--json"]
    told = json.loads(answer(*compare, cwd=here))
    by_name = {entry["name"]: entry["report"]["measures"]["rmse"]["value"] for entry in told["entries"]}
    values = values_of(told)
    assert values["rmse"] == min(by_name.values())
    assert values["Mean.rmse"] == by_name["Mean"]
    bound = (by_name["Mean"] + by_name["Bias"]) / 2
    assert ask(*compare, "--fail-if", f"Mean.rmse > {bound}", cwd=here).returncode == 3
    assert ask(*compare, "--fail-if", f"rmse > {bound}", cwd=here).returncode == 0


def test_a_check_is_judged_by_its_counts(here):
    done = ask("check", "train.csv", "--fail-if", "warnings >= 0", cwd=here)
    assert done.returncode == 3
    assert ask("check", "train.csv", "--fail-if", "problems > 0", cwd=here).returncode == 0
    told = ask("check", "train.csv", "--fail-if", "x > 0", cwd=here).stderr
    assert "there are problems, warnings." in told  # counts have no intervals


def test_exit_codes_stand_in_one_table(here):
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 130, 141]
    text = " ".join(answer("--help", cwd=here).replace("│", " ").split())
    for code in Exit:
        assert f"{code.value} {code.meaning}" in text
    assert "nowhere.palate" in refused("show", "nowhere.palate", cwd=here)
    assert ask("show", cwd=here).returncode == ask("shw", cwd=here).returncode == 2
