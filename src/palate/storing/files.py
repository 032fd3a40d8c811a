"""Save and load: a Model as named arrays and a JSON header, written by palate.storing.container.

Format 1 fixes the names in a file, so some differ from those in the code: "doubt" is score_variance, "paired" is
PairwiseFactors, "histories" is HistoryFactors, and COLD_START below names the ColdStart.
"""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import numpy as np

from palate.data.ratings import KINDS, Kind
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Vocabulary
from palate.errors import ModelFileError, OptionError, TamperedModelError
from palate.kernels import has_repeats
from palate.models import effects
from palate.models.cold_start import ColdStart
from palate.models.model import Model
from palate.models.ordinal import OrderedSteps
from palate.models.posterior import Posterior, SideSamples
from palate.models.side_information import SideInfo
from palate.models.step_distribution import StepDistribution
from palate.showing.events import tell
from palate.storing import container
from palate.storing.consistency import (
    check_factors,
    check_history,
    check_model,
    check_numbers,
    check_tensors,
    check_texts,
)
from palate.storing.factors import pack_factors, pack_priors, unpack_factors
from palate.storing.features import pack_features, unpack_features
from palate.storing.packing import Header, Tensors, pack_table, pack_texts, unpack_table, unpack_texts

# Files of another kind in the same container, by `kind` in their header, and what reads them.
OTHER_KINDS = {
    "checkpoint of a fit": "a checkpoint of a fit, not a model: fit(checkpoint=..., resume=True) goes on from it",
    "training checkpoint": "a checkpoint of a training, not a model: palate.nn's Learner.load reads it",
    "palate.nn.book.Learner": "an export of palate.nn.book, not a model: load_learner reads it",
}
NOISE_LEVELS = ("user_noise", "item_noise")  # a model has at most one of them
COLD_START = "strangers"  # the name in files
COLD_START_PARTS = ("mean", "covariance", "intercept", "link", "residual")  # the tensors of a ColdStart


def save(model: Model, path: str | PathLike[str]) -> None:
    """Write a model to one file, atomically. Raise ModelFileError if the disk refuses; an old file then stays."""
    tensors: Tensors = {}
    header: Header = {
        "noise": _number(model.noise),
        "limits": list(model.limits),
        "predicts_ratings": model.predicts_ratings,
        "ratings_kind": model.kind,
        "recipe": model.recipe,
        "training": model.training,
        "metrics": model.metrics,
        "fingerprint": model.fingerprint,
        "factors": pack_factors(model.factors, tensors),
        "user": _pack_vocabulary(model.user_vocabulary, "user", tensors),
        "item": _pack_vocabulary(model.item_vocabulary, "item", tensors),
        "user_info": _pack_info(model.user_info, "user", tensors),
        "item_info": _pack_info(model.item_info, "item", tensors),
        "user_table": pack_table(model.user_table, "user_table", tensors),
        "item_table": pack_table(model.item_table, "item_table", tensors),
    }
    if model.like_threshold is not None:
        header["like_threshold"] = model.like_threshold
    _pack_rows(model.history, tensors)
    if has_repeats(model.history.indptr, model.history.indices, len(model.item_vocabulary)):
        header["repeats"] = True  # ratings that were made by hand may hold a pair twice
    tensors |= {"user.factors": model.factors.users, "item.factors": model.factors.items}
    header |= pack_priors(model.factors, tensors)
    if model.posterior is not None:
        header["posterior"] = _pack_posterior(model.posterior, tensors)
    for name in NOISE_LEVELS:
        if (levels := getattr(model, name)) is not None:
            tensors[name] = levels
            header["levels"] = name
    if model.step_distribution is not None:
        header["step_distribution"] = _pack_distribution(model.step_distribution, model.factors.steps)
    if model.effects is not None:
        header["effects"], parts = effects.pack(model.effects)
        tensors |= parts
    container.write(path, tensors, header)
    _tell("model_saved", "the model is written", model, path, header)


def load(path: str | PathLike[str], *, copy: bool | None = None) -> Model:
    """Read a model from a file. Raise ModelFileError for a damaged file.

    copy: whether its arrays are copied or memory-mapped; None copies files of up to container.MAX_COPIED_BYTES.
    """
    if copy not in (None, True, False):
        raise OptionError(f"copy={copy!r}: give True, False, or None to copy files of up to 256 MB.")
    tensors, header = container.read(path, copy=copy)
    if (kind := str(header.get("kind"))) in OTHER_KINDS:
        raise ModelFileError(f"{fspath(path)} is {OTHER_KINDS[kind]}.")
    try:
        check_texts(header)
        check_numbers(header)
        check_tensors(tensors)
        model = _unpack(tensors, header)
        check_model(model)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise TamperedModelError(
            f"{fspath(path)} is a palate file, but its parts do not fit together ({type(error).__name__}: {error}). "
            "Save the model again."
        ) from error
    _tell("model_loaded", "the model is read", model, path, header)
    return model


def _tell(event: str, message: str, model: Model, path: str | PathLike[str], header: Header) -> None:
    about: dict[str, Any] = {"recipe": model.recipe.get("name"), "fingerprint": header.get("fingerprint")}
    tell(event, message, path=fspath(path), users=len(model.user_vocabulary), items=len(model.item_vocabulary), **about)


def _pack_posterior(posterior: Posterior, tensors: Tensors) -> Header:
    tensors["posterior.alpha"] = posterior.alpha
    if posterior.cuts is not None:
        tensors["posterior.cuts"] = posterior.cuts
    for side, samples in (("user", posterior.users), ("item", posterior.items)):
        parts = {"vectors": samples.vectors, "precision": samples.precision, "mean": samples.mean, "link": samples.link}
        parts |= {f"{COLD_START}.{part}": getattr(samples.cold_start, part) for part in COLD_START_PARTS}
        tensors |= {f"posterior.{side}.{part}": values for part, values in parts.items() if values is not None}
    return {"center": posterior.center, "scale": posterior.scale, COLD_START: True}


def _unpack(tensors: Tensors, header: Header) -> Model:
    low, high = header["limits"]
    factors = unpack_factors(tensors, header)
    users, items = (_unpack_vocabulary(header[side], side, tensors) for side in ("user", "item"))
    history = _unpack_rows(tensors)
    check_factors(factors, len(users), len(items))  # before Model.__post_init__ combines them
    check_history(history, len(users), len(items), repeats=header.get("repeats", False) is True)
    levels: dict[str, Any] = {name: tensors[name] for name in NOISE_LEVELS if name == header.get("levels")}
    return Model(
        factors=factors,
        posterior=_unpack_posterior(tensors, header.get("posterior"), factors.steps),
        noise=float("nan") if header["noise"] is None else float(header["noise"]),
        user_vocabulary=users,
        item_vocabulary=items,
        history=history,
        limits=(float(low), float(high)),
        user_table=unpack_table(header["user_table"], "user_table", tensors),
        item_table=unpack_table(header["item_table"], "item_table", tensors),
        user_info=_unpack_info(header.get("user_info"), "user", tensors),
        item_info=_unpack_info(header.get("item_info"), "item", tensors),
        predicts_ratings=bool(header["predicts_ratings"]),
        kind=_unpack_kind(header.get("ratings_kind", "explicit")),
        like_threshold=float(header["like_threshold"]) if "like_threshold" in header else None,
        effects=effects.unpack(header["effects"], tensors, len(users), len(items)) if "effects" in header else None,
        **levels,
        step_distribution=_unpack_distribution(header.get("step_distribution"), factors.steps),
        recipe=dict(header["recipe"]),
        training=dict(header["training"]),
        metrics=dict(header["metrics"]),
    )


def _pack_info(info: SideInfo | None, side: str, tensors: Tensors) -> Header | None:
    if info is None:
        return None
    if info.columns is not None:
        tensors[f"{side}.history_columns"] = info.columns
    attributes = None if info.attributes is None else pack_features(info.attributes, f"{side}.attributes", tensors)
    return {"n_history": info.n_history, "attributes": attributes}


def _unpack_info(header: Header | None, side: str, tensors: Tensors) -> SideInfo | None:
    if header is None:
        return None
    attributes = header["attributes"]
    attributes = None if attributes is None else unpack_features(attributes, f"{side}.attributes", tensors)
    return SideInfo(int(header["n_history"]), attributes, tensors.get(f"{side}.history_columns"))


def _pack_distribution(distribution: StepDistribution, learned: OrderedSteps | None) -> Header:
    """The distribution over steps; an ordered probit has the same steps in its factors."""
    own = {} if learned is not None else {"values": distribution.steps.values.tolist()}
    if learned is None:
        own["cuts"] = distribution.steps.cuts.tolist()
    return own if distribution.tails is None else own | {"tails": distribution.tails.tolist()}


def _unpack_distribution(header: Header | None, learned: OrderedSteps | None) -> StepDistribution | None:
    """The distribution over steps; files from before it have none, and keep intervals of the normal distribution."""
    if header is None:
        return None
    steps = OrderedSteps(header["values"], header["cuts"]) if learned is None else learned
    tails = np.array(header["tails"], np.float64) if "tails" in header else None
    return StepDistribution(steps, tails)


def _unpack_kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise ValueError(f"unknown kind of ratings {kind!r}")


def _unpack_posterior(tensors: Tensors, header: Header | None, steps: OrderedSteps | None) -> Posterior | None:
    if header is None:
        return None
    sides = [
        _unpack_samples(tensors, f"posterior.{side}", has_cold_start=bool(header.get(COLD_START)))
        for side in ("user", "item")
    ]
    if steps is None and "posterior.cuts" in tensors:
        raise ValueError("posterior: cut points without steps")
    return Posterior(
        float(header["center"]),
        float(header["scale"]),
        tensors["posterior.alpha"],
        sides[0],
        sides[1],
        steps=steps,
        cuts=None if steps is None else tensors["posterior.cuts"],
    )


def _unpack_samples(tensors: Tensors, prefix: str, *, has_cold_start: bool) -> SideSamples:
    vectors, precision, mean = (tensors[f"{prefix}.{part}"] for part in ("vectors", "precision", "mean"))
    cold_start = ColdStart.of_prior(mean, precision)  # files older than ColdStart
    if has_cold_start:
        required = tensors[f"{prefix}.{COLD_START}.mean"], tensors[f"{prefix}.{COLD_START}.covariance"]
        cold_start = ColdStart(
            *required, *(tensors.get(f"{prefix}.{COLD_START}.{part}") for part in COLD_START_PARTS[2:])
        )
    return SideSamples(vectors, precision, mean, cold_start, tensors.get(f"{prefix}.link"))


def _number(value: float) -> float | None:
    """Return a float that JSON can hold; nan becomes None."""
    return None if np.isnan(value) else float(value)


# ---- rows and labels ------------------------------------------------------------------------------------------------


def _pack_rows(rows: CompressedRows, tensors: Tensors) -> None:
    tensors |= {"history.indptr": rows.indptr, "history.indices": rows.indices, "history.values": rows.values}
    if rows.weights is not None:
        tensors["history.weights"] = rows.weights
    if rows.times is not None:
        tensors["history.times"] = rows.times


def _unpack_rows(tensors: Tensors) -> CompressedRows:
    indptr, indices, values = (tensors[f"history.{part}"] for part in ("indptr", "indices", "values"))
    return CompressedRows(indptr, indices, values, tensors.get("history.weights"), tensors.get("history.times"))


def _pack_vocabulary(vocabulary: Vocabulary, name: str, tensors: Tensors) -> Header:
    if vocabulary.kind == "integer":
        tensors[f"{name}.labels"] = vocabulary.labels
    else:
        pack_texts(vocabulary.labels.tolist(), f"{name}.labels", tensors)
    return {"kind": vocabulary.kind, "what": vocabulary.what}


def _unpack_vocabulary(header: Header, name: str, tensors: Tensors) -> Vocabulary:
    if header["kind"] not in ("integer", "string"):
        raise ValueError(f"unknown kind of {name} labels {header['kind']!r}")
    if header["kind"] == "integer":
        labels = tensors[f"{name}.labels"]
    else:
        labels = np.array(unpack_texts(f"{name}.labels", tensors), dtype=object)
    if labels.ndim != 1:
        raise ValueError(f"{name} labels: shape {labels.shape}, not one dimension")
    if len(set(labels.tolist())) < len(labels):
        raise ValueError(f"{name} labels: a label stands twice")
    return Vocabulary.in_order(labels, what=str(header["what"]))
