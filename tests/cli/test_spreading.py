"""palate fit --on: the training is spread over a cluster."""

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


def test_fit_takes_it_to_the_recipe(tmp_path, monkeypatch):
    made = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    blocks = palate.blocks.write(tmp_path / "made.blocks", made, progress=False)
    workers = CopyingExchange()
    monkeypatch.setattr("palate.cli.commands.read_ratings", lambda *_, **__: blocks)
    monkeypatch.setattr("palate.cli.commands.cluster_at", lambda address: workers if address == "ray" else None)
    model = tmp_path / "m.palate"
    ran = CliRunner().invoke(app, ["fit", str(blocks.path), "-o", str(model), "--recipe", "ALS", "--on", "ray"])
    assert ran.exit_code == 0, ran.output
    assert workers.n_tasks > 0
    assert palate.load(model).model.training["workers"] == {"n": 3}
