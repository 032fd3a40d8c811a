"""palate.mlflow: recommenders in a local store of MLflow, and out of it again by palate and by MLflow itself."""

import sys

import numpy as np
import pandas as pd
import pytest

import palate
from palate.errors import ModelFileError, OptionError
from palate.exporting.mlflow import metrics_of, parameters_of
from palate.exporting.mlflow_loader import PyfuncRecommender, _load_pyfunc

pytestmark = pytest.mark.filterwarnings("default")  # MLflow and what it imports warn of themselves

RATINGS = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
TRAIN, TEST = palate.split_random(RATINGS, test=0.2, seed=0)


@pytest.fixture(scope="module")
def rec():
    return palate.Bayes(n_factors=3, n_sweeps=6, n_threads=1).fit(TRAIN, progress=False)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow with a store in files, which needs no server and no database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "true")
        module = pytest.importorskip("mlflow", minversion="3", reason="needs palate[mlflow]")
        before = module.get_tracking_uri()
        module.set_tracking_uri((tmp_path_factory.mktemp("store") / "mlruns").as_uri())
        yield module
        module.set_tracking_uri(before)


@pytest.fixture(scope="module")
def logged(mlflow, rec):
    """(run, what log_model returns)."""
    with mlflow.start_run() as run:
        info = palate.mlflow.log_model(
            rec, "films", test=TEST, card=palate.card(rec, TEST, n_bootstrap=50, title="Films")
        )
    return mlflow.get_run(run.info.run_id), info


def test_a_model_comes_back_as_it_was(logged, rec):
    again = palate.mlflow.load_model(logged[1].model_uri)
    assert again.model.fingerprint == rec.model.fingerprint
    assert again.predict(TEST.to_frame()).equals(rec.predict(TEST.to_frame()))


def test_options_and_metrics_are_in_the_run(logged, rec):
    data = logged[0].data
    assert data.params["recipe"] == "Bayes" and data.params["n_factors"] == "3"
    assert data.params["fingerprint"] == rec.model.fingerprint
    report = palate.evaluate(rec, TEST, n_bootstrap=50)
    assert data.metrics["rmse"] == pytest.approx(report["rmse"])
    assert data.metrics["rmse_low"] == pytest.approx(report.measures["rmse"].low)
    assert data.metrics["Bias/rmse"] == pytest.approx(report.baselines["Bias"]["rmse"].value)
    assert 0 < data.metrics["ndcg_at_10"] < 1


def test_the_card_is_an_artifact(mlflow, logged):
    run, _ = logged
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/card.md")
    assert text.startswith("# Films\n")
    assert "<h1>Films</h1>" in mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/card.html")


def test_mlflow_itself_predicts_and_recommends(mlflow, logged, rec):
    model = mlflow.pyfunc.load_model(logged[1].model_uri)
    pairs = pd.DataFrame({"user": ["u1", "u2", "nobody"], "item": ["i2", "i3", "i4"]})
    expected = rec.predict(pairs)
    assert model.predict(pairs).equals(expected)
    lists = model.predict(pd.DataFrame({"user": ["u1", "u2"]}), params={"n": 3})
    assert lists["item"].tolist() == rec.recommend(["u1", "u2"], n=3)["item"].to_list()
    narrow = model.predict(pairs, params={"level": 0.5})
    assert (narrow["high"] <= expected["high"]).all()


def test_a_logged_model_holds_no_pickle(mlflow, logged, tmp_path):
    mlflow.artifacts.download_artifacts(logged[1].model_uri, dst_path=str(tmp_path))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"model.palate", "MLmodel", "card.md", "requirements.txt"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert f"palate[pandas]=={palate.__version__}" in next(tmp_path.rglob("requirements.txt")).read_text()
    assert "loader_module: palate.exporting.mlflow_loader" in next(tmp_path.rglob("MLmodel")).read_text()
    assert next(tmp_path.rglob("card.md")).read_text(encoding="utf-8").startswith("# Films\n")


def test_without_a_run_one_is_made_and_ended(mlflow):
    likes = palate.read({"user": [1, 1, 2], "item": [7, 8, 7]}, kind="implicit")
    info = palate.mlflow.log_model(palate.Popularity().fit(likes), card=False)
    assert mlflow.active_run() is None
    model = mlflow.pyfunc.load_model(info.model_uri)
    assert model.predict(pd.DataFrame({"user": [2]}))["item"].tolist() == [8]
    assert palate.mlflow.load_model(info.model_uri).model.item_vocabulary.labels.tolist() == [7, 8]


def test_the_loader_takes_frames_of_all_kinds(rec):
    model = PyfuncRecommender(rec)
    assert model.predict({"user": ["u1"]}, {"n": 2}).shape == (2, 4)
    empty = pd.DataFrame({"user": ["u1", "u2"], "item": [None, None]})
    assert len(model.predict(empty)) == rec.recommend(["u1", "u2"]).height  # no item: lists
    with pytest.raises(palate.errors.DataError, match="no column user"):
        model.predict(pd.DataFrame({"item": ["i1"]}))


def test_names_of_metrics_are_those_that_mlflow_takes(rec):
    report = palate.evaluate(rec, TEST.likes(at_least=4), n_bootstrap=20)
    names = set(metrics_of({"lists": report.to_dict()}))
    assert {"ndcg_at_10", "ndcg_at_10_low", "Popularity/ndcg_at_10", "coverage_at_10"} <= names
    assert "coverage_at_10_low" not in names and not any("@" in name for name in names)
    assert all(np.isfinite(value) for value in metrics_of({"lists": report.to_dict()}).values())
    assert all(len(value) <= 500 for value in parameters_of(rec).values())


def test_errors_of_logging_help(mlflow, rec, tmp_path):
    with pytest.raises(OptionError, match="recommender must be a Recommender"):
        palate.mlflow.log_model(palate.ALS())
    with pytest.raises(OptionError, match="card must be True"):
        palate.mlflow.log_model(rec, card="card.md")
    with pytest.raises(OptionError, match="cannot be loaded: MLflow says"):
        palate.mlflow.load_model("models:/nothing/1")
    (tmp_path / "MLmodel").write_text("{}")
    with pytest.raises(ModelFileError, match=r"holds no model\.palate"):
        palate.mlflow.load_model(tmp_path.as_uri())
    with pytest.raises(ModelFileError, match=r"holds no model\.palate"):
        _load_pyfunc(str(tmp_path))


def test_without_mlflow_it_says_what_to_install(monkeypatch, rec):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(OptionError, match=r"pip install 'palate\[mlflow\]'"):
        palate.mlflow.log_model(rec)
