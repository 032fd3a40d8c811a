"""--on of palate fit, recommend and evaluate: the work is spread over a cluster."""

import pytest
from typer.testing import CliRunner

import palate
from helpers.clusters import CopyingExchange
from palate.cli import loading
from palate.cli.commands import app
from palate.errors import OptionError


def test_an_address_names_a_cluster_of_ray():
    assert loading.cluster_at(None) is None
    assert loading.cluster_at("ray").address is None
    for address in ("auto", "ray://host:10001", "10.0.0.7:6379"):
        assert loading.cluster_at(address).address == address
    with pytest.raises(OptionError, match=r"--on takes ray, or an address .*; got spark"):
        loading.cluster_at("spark")


@pytest.fixture
def workers(monkeypatch):
    """The cluster that `--on ray` names."""
    found = CopyingExchange()
    for module in ("commands", "queries"):
        monkeypatch.setattr(f"palate.cli.{module}.cluster_at", lambda address: found if address == "ray" else None)
    return found


@pytest.fixture
def blocks(tmp_path):
    made = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    return palate.blocks.write(tmp_path / "made.blocks", made, progress=False)


def run(*words):
    ran = CliRunner().invoke(app, [str(word) for word in words])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_fit_takes_it_to_the_recipe(blocks, workers, tmp_path):
    run("fit", blocks.path, "-o", tmp_path / "m.palate", "--recipe", "ALS", "--on", "ray")
    assert workers.n_tasks > 0
    assert palate.load(tmp_path / "m.palate").model.training["workers"] == {"n": 3}


def test_recommend_makes_the_lists_of_everyone_there(blocks, workers, tmp_path):
    model, made = tmp_path / "m.palate", {}
    palate.ALS(n_sweeps=2).fit(blocks, progress=False).save(model)
    for name, on in {"here": (), "there": ("--on", "ray")}.items():
        run("recommend", model, "--all", "--out", tmp_path / name, *on)
        made[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert workers.n_tasks == 1
    assert made["here"] == made["there"]
    refused = CliRunner().invoke(app, ["recommend", str(model), "u1", "--on", "ray"])
    assert refused.exit_code == 2
    assert "--on goes with --everyone and --out FOLDER" in refused.output


def test_evaluate_measures_there(blocks, workers, tmp_path):
    train, test = palate.split_random(blocks, 0.2)
    palate.ALS(n_sweeps=2).fit(train, progress=False).save(tmp_path / "m.palate")
    command = ("evaluate", tmp_path / "m.palate", test.path, "--json")
    assert run(*command, "--on", "ray") == run(*command)
    assert workers.n_tasks == 1
