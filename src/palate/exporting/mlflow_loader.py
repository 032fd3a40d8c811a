"""What MLflow calls to load a model that palate.mlflow has logged: it is data, and no code in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import DataError, ModelFileError
from palate.recommender import Recommender, load

if TYPE_CHECKING:
    import pandas as pd

FILE = "model.palate"
N, LEVEL = 10, 0.9


class PyfuncRecommender:
    """A recommender as MLflow asks it: rows of users and items get predictions, rows of users get lists.

    Parameters:
        recommender (Recommender): The model.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answer for each row: prediction, low and high of a user and an item; the best items of a user alone.

        model_input: a pandas frame with a column user and perhaps a column item. params: n, the length of lists, and
        level, of intervals. Raises DataError for a frame without users.
        """
        import pandas as pd

        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        if "user" not in frame.columns:
            raise DataError(f"the frame has no column user; its columns are {', '.join(map(str, frame.columns))}.")
        options = {"n": N, "level": LEVEL, **(params or {})}
        has_items = "item" in frame.columns and bool(frame["item"].notna().any())
        if has_items:
            columns = [name for name in ("user", "item", "time") if name in frame.columns]
            predicted: pd.DataFrame = self.recommender.predict(frame[columns], level=float(options["level"]))
            return predicted
        lists = self.recommender.recommend(frame["user"].tolist(), n=int(options["n"]))
        return pd.DataFrame(lists.to_dict(as_series=False))


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> PyfuncRecommender:  # noqa: ARG001
    """The model in the folder of data of a logged model; MLflow calls this."""
    return PyfuncRecommender(load(file_in(Path(path)), copy=True))


def file_in(folder: Path) -> Path:
    """The model file in the folder of a logged model. Raise ModelFileError if there is none."""
    found = sorted(folder.rglob(FILE))
    if not found:
        raise ModelFileError(f"{folder} holds no {FILE}: palate.mlflow.log_model puts it there.")
    return found[0]
