"""palate.mlflow: log recommenders in MLflow, with options, metrics and their card, and load them again.

A logged model is the .palate file with a loader, and holds no pickle. `mlflow.pyfunc.load_model` loads it too, and
`mlflow models serve` serves it. Needs `palate[mlflow]`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palate.__version__ import __version__
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.evaluation.matching import check_type
from palate.exporting import mlflow_loader
from palate.exporting.card import Card
from palate.exporting.card import card as make_card
from palate.recommender import Recommender, load
from palate.showing.lines import one_line

LOADER = "palate.exporting.mlflow_loader"
MAX_PARAM = 500  # characters of a parameter that every store of MLflow takes
TYPES = {"integer": "long", "string": "string"}

__all__ = ["load_model", "log_model"]


def __dir__() -> list[str]:
    return sorted(__all__)


def log_model(
    recommender: Recommender,
    name: str = "recommender",
    *,
    test: Ratings | None = None,
    card: Card | bool = True,
    registered_model_name: str | None = None,
) -> Any:
    """Log a recommender in MLflow: the model, its options as parameters, its metrics, and its card.

    It goes into the active run, or into a new one. Parameters are the recipe and its options; metrics are those of the
    card, each with the ends of its interval: rmse, rmse_low, rmse_high, ndcg_at_10, and those of the baselines as
    Bias/rmse. The card is an artifact of the run as card.md and card.html, and lies beside the model.

    Parameters:
        recommender (Recommender): The trained model.
        name (str, default "recommender"): The name of the logged model.
        test (Ratings or None, default None): Ratings that the model did not learn from, to measure it on. None: the
            metrics noted in the model, if there are any.
        card (Card or bool, default True): The model card, as palate.card() makes it. True: palate.card(recommender,
            test). False: none; metrics are logged all the same.
        registered_model_name (str or None, default None): Also register the model under this name.

    Returns:
        mlflow.models.model.ModelInfo: What MLflow knows of the logged model; model_uri loads it.

    Raises:
        OptionError: MLflow is not installed, an option is of another type, or MLflow refuses.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> info = palate.mlflow.log_model(palate.Bias().fit(train), test=test)  # doctest: +SKIP
        >>> palate.mlflow.load_model(info.model_uri).n_users  # doctest: +SKIP
        60
    """
    check_type("recommender", recommender, Recommender, "as a recipe's fit() or palate.load() returns")
    if not isinstance(card, bool | Card):
        raise OptionError(f"card must be True, False, or what palate.card() returns, not {type(card).__name__}.")
    mlflow = mlflow_module()
    made = card if isinstance(card, Card) else make_card(recommender, test)
    with _in_words("the model cannot be logged"), _run(mlflow), tempfile.TemporaryDirectory() as folder:
        mlflow.log_params(parameters_of(recommender))
        if metrics := metrics_of(made.metrics):
            mlflow.log_metrics(metrics)
        data = Path(folder) / "palate"
        data.mkdir()
        recommender.save(data / mlflow_loader.FILE)
        if card is not False:
            for ending in (".md", ".html"):
                made.save(data / f"card{ending}")
                mlflow.log_artifact(str(data / f"card{ending}"))
        return mlflow.pyfunc.log_model(
            name=name,
            loader_module=LOADER,
            data_path=str(data),
            signature=signature_of(recommender),
            pip_requirements=[f"palate[pandas]=={__version__}"],
            metadata={"palate": __version__, "fingerprint": recommender.model.fingerprint},
            registered_model_name=registered_model_name,
        )


def load_model(uri: str) -> Recommender:
    """Load a recommender that log_model() has logged.

    Parameters:
        uri (str): Where it is, as MLflow names it: "models:/name/1", "models:/m-...", "runs:/.../recommender", or a
            folder.

    Returns:
        Recommender: The model, which answers as it did before it was logged.

    Raises:
        OptionError: MLflow is not installed, or does not find the model.
        ModelFileError: What is there was not logged by palate, or is damaged.

    Example:
        >>> import palate
        >>> rec = palate.mlflow.load_model("models:/films/1")  # doctest: +SKIP
    """
    mlflow = mlflow_module()
    with tempfile.TemporaryDirectory() as folder:
        with _in_words(f"{uri} cannot be loaded"):
            place = Path(mlflow.artifacts.download_artifacts(artifact_uri=str(uri), dst_path=folder))
        return load(mlflow_loader.file_in(place), copy=True)


def mlflow_module() -> Any:
    """Import MLflow; raise OptionError that says what to install if it is missing."""
    try:
        import mlflow
        import mlflow.pyfunc  # pandas too
    except ImportError as error:
        raise OptionError(f"palate.mlflow needs MLflow: pip install 'palate[mlflow]' ({error}).") from None
    return mlflow


@contextmanager
def _run(mlflow: Any) -> Iterator[None]:
    """The active run, or a new one until the end of the block."""
    if mlflow.active_run() is not None:
        yield
        return
    with mlflow.start_run():
        yield


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Raise what MLflow raises as an OptionError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise OptionError(f"{what}: MLflow says: {one_line(error) or type(error).__name__}") from error


def parameters_of(recommender: Recommender) -> dict[str, str]:
    """The recipe, its options, and what it learned from, as parameters of a run."""
    recipe = dict(recommender.model.recipe)
    found = {"recipe": recipe.pop("name", "Recommender"), **recipe}
    found |= {
        "n_users": recommender.n_users,
        "n_items": recommender.n_items,
        "n_ratings": len(recommender.model.history.indices),
        "fingerprint": recommender.model.fingerprint,
    }
    return {name: str(value)[:MAX_PARAM] for name, value in found.items()}


def metrics_of(reports: Mapping[str, Any]) -> dict[str, float]:
    """The measures of reports under names that MLflow takes, with the ends of their intervals."""
    found: dict[str, float] = {}
    for report in reports.values():
        models = {"": report.get("measures", {})}
        models |= {f"{name}/": measures for name, measures in report.get("baselines", {}).items()}
        for prefix, measures in models.items():
            for name, measure in measures.items():
                for part, value in measure.items():
                    if value is not None:
                        found[prefix + name.replace("@", "_at_") + ("" if part == "value" else f"_{part}")] = value
    return found


def signature_of(recommender: Recommender) -> Any:
    """What a logged model takes: users and perhaps items and times, in the type of its labels; n and level."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    model = recommender.model
    kinds = {"user": model.user_vocabulary.kind, "item": model.item_vocabulary.kind}
    columns: list[Any] = [ColSpec(DataType[TYPES[kind]], name, required=name == "user") for name, kind in kinds.items()]
    if model.effects is not None:
        columns.append(ColSpec(DataType.double, "time", required=False))
    options = [
        ParamSpec("n", DataType.long, mlflow_loader.N),
        ParamSpec("level", DataType.double, mlflow_loader.LEVEL),
    ]
    return ModelSignature(inputs=Schema(columns), params=ParamSchema(options))
