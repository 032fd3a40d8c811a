"""Save and load: a Model as named arrays and a header, in the one-file container."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate import container, effects, neighborhood, network
from palate._packing import Header, Tensors, pack_table, pack_texts, unpack_table, unpack_texts
from palate.compressed import CompressedRows
from palate.errors import ModelFileError, TamperedModelError
from palate.factors import Factors, Prior
from palate.features import Features
from palate.implicit import ImplicitFactors
from palate.itemwise import HistoryFactors
from palate.model import Model
from palate.network import Network
from palate.ordinal import OrderedSteps
from palate.paired import PairedFactors
from palate.posterior import Posterior, SideSamples
from palate.ratings import KINDS, Kind
from palate.sideinfo import SideInfo
from palate.strangers import Strangers
from palate.vocabulary import Vocabulary

# Other files in the same container, by the `kind` in their header, and who reads them.
OTHER_KINDS = {
    "training checkpoint": "a checkpoint of a training, not a model: palate.nn's Learner.load reads it",
    "palate.nn.book.Learner": "an export of palate.nn.book, not a model: load_learner reads it",
}
LEVELS = ("user_noise", "item_noise")  # of a model, one of them at most
STRANGERS = ("mean", "covariance", "intercept", "link", "residual")  # the tensors of Strangers


def save(model: Model, path: str | PathLike[str]) -> None:
    """Write a model to one file, atomically. Raises ModelFileError when the disk refuses; the old file then stays."""
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
        "factors": _pack_factors(model.factors, tensors),
        "user": _pack_vocabulary(model.user_vocabulary, "user", tensors),
        "item": _pack_vocabulary(model.item_vocabulary, "item", tensors),
        "user_info": _pack_info(model.user_info),
        "item_info": _pack_info(model.item_info),
        "user_table": pack_table(model.user_table, "user_table", tensors),
        "item_table": pack_table(model.item_table, "item_table", tensors),
    }
    _pack_rows(model.history, tensors)
    for side, vectors, prior in (
        ("user", model.factors.users, model.factors.user_prior),
        ("item", model.factors.items, model.factors.item_prior),
    ):
        tensors |= {f"{side}.factors": vectors, f"{side}.precision": prior.precision, f"{side}.mean": prior.mean}
        header[f"{side}_prior"] = {
            "alpha": prior.alpha,
            "ridge": prior.ridge,
            "count_exponent": prior.count_exponent,
        }
    if model.posterior is not None:
        header["posterior"] = {"center": model.posterior.center, "scale": model.posterior.scale, "strangers": True}
        tensors["posterior.alpha"] = model.posterior.alpha
        if model.posterior.cuts is not None:
            tensors["posterior.cuts"] = model.posterior.cuts
        for side, samples in (("user", model.posterior.users), ("item", model.posterior.items)):
            tensors[f"posterior.{side}.vectors"] = samples.vectors
            tensors[f"posterior.{side}.precision"] = samples.precision
            tensors[f"posterior.{side}.mean"] = samples.mean
            if samples.link is not None:
                tensors[f"posterior.{side}.link"] = samples.link
            for part in STRANGERS:
                if (values := getattr(samples.strangers, part)) is not None:
                    tensors[f"posterior.{side}.strangers.{part}"] = values
    for name in LEVELS:
        if (levels := getattr(model, name)) is not None:
            tensors[name] = levels
            header["levels"] = name
    if model.effects is not None:
        header["effects"], parts = effects.pack(model.effects)
        tensors |= parts
    container.write(path, tensors, header)


def load(path: str | PathLike[str]) -> Model:
    """A model from a file, its arrays mapped and not copied. Raises a ModelFileError that says what is wrong."""
    tensors, header = container.read(path)
    if (kind := str(header.get("kind"))) in OTHER_KINDS:
        raise ModelFileError(f"{fspath(path)} is {OTHER_KINDS[kind]}.")
    try:
        model = _unpack(tensors, header)
        _check(model)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise TamperedModelError(
            f"{fspath(path)} is a palate file, but its parts do not fit together ({type(error).__name__}: {error}). "
            "Save the model again."
        ) from error
    return model


def _pack_factors(factors: Factors, tensors: Tensors) -> Header:
    header: Header = {"mean": factors.mean, "scale": factors.scale}
    if factors.y_range is not None:
        header["y_range"] = list(factors.y_range)
    if (steps := factors.steps) is not None:
        header["steps"] = {"values": steps.values.tolist(), "cuts": steps.cuts.tolist(), "doubt": factors.doubt}
    if isinstance(factors, Network):
        header["network"], parts = network.pack(factors)
        tensors |= parts
    if isinstance(factors, HistoryFactors):
        header["histories"], parts = neighborhood.pack(factors)
        tensors |= parts
    if isinstance(factors, ImplicitFactors):
        header["implicit"] = {"unobserved_weight": factors.unobserved_weight, "confidence": factors.confidence}
    if isinstance(factors, PairedFactors):
        header["paired"] = {"n_candidates": factors.n_candidates}
    return header


def _unpack(tensors: Tensors, header: Header) -> Model:
    sides = {
        side: Prior(
            tensors[f"{side}.precision"],
            tensors[f"{side}.mean"],
            **{name: float(header[f"{side}_prior"][name]) for name in ("alpha", "ridge", "count_exponent")},
        )
        for side in ("user", "item")
    }
    low, high = header["limits"]
    factors = Factors(
        float(header["factors"]["mean"]),
        tensors["user.factors"],
        tensors["item.factors"],
        sides["user"],
        sides["item"],
        float(header["factors"]["scale"]),
        _unpack_range(header["factors"].get("y_range")),
        **_unpack_steps(header["factors"].get("steps")),
    )
    if "network" in header["factors"]:
        factors = network.unpack(factors, header["factors"]["network"], tensors)
    if "implicit" in header["factors"]:
        factors = ImplicitFactors.of(factors, **header["factors"]["implicit"])
    if "paired" in header["factors"]:
        factors = PairedFactors.of(factors, n_candidates=int(header["factors"]["paired"]["n_candidates"]))
    if "histories" in header["factors"]:
        factors = neighborhood.unpack(factors, header["factors"]["histories"], tensors)
    users, items = (_unpack_vocabulary(header[side], side, tensors) for side in ("user", "item"))
    history = _unpack_rows(tensors)
    _check_factors(factors, len(users), len(items))  # before a model joins them
    _check_history(history, len(users), len(items))
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
        user_info=_unpack_info(header.get("user_info")),
        item_info=_unpack_info(header.get("item_info")),
        predicts_ratings=bool(header["predicts_ratings"]),
        kind=_unpack_kind(header.get("ratings_kind", "explicit")),
        effects=effects.unpack(header["effects"], tensors, len(users), len(items)) if "effects" in header else None,
        **{str(name): tensors[str(name)] for name in [header.get("levels")] if name in LEVELS},
        recipe=dict(header["recipe"]),
        training=dict(header["training"]),
        metrics=dict(header["metrics"]),
    )


def _pack_info(info: SideInfo | None) -> Header | None:
    if info is None:
        return None
    attributes = None if info.attributes is None else info.attributes.to_dict()
    return {"n_history": info.n_history, "attributes": attributes}


def _unpack_info(header: Header | None) -> SideInfo | None:
    if header is None:
        return None
    attributes = header["attributes"]
    return SideInfo(int(header["n_history"]), None if attributes is None else Features.from_dict(attributes))


def _unpack_steps(header: Header | None) -> dict[str, Any]:
    if header is None:
        return {}
    doubt = float(header["doubt"])
    if not 0 <= doubt < np.inf:
        raise ValueError(f"a doubt of {doubt}")
    return {"steps": OrderedSteps(header["values"], header["cuts"]), "doubt": doubt}


def _unpack_kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise ValueError(f"ratings of the unknown kind {kind!r}")


def _unpack_range(y_range: list[float] | None) -> tuple[float, float] | None:
    if y_range is None:
        return None
    low, high = map(float, y_range)
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"y_range {low:g}..{high:g} is no range")
    return low, high


def _unpack_posterior(tensors: Tensors, header: Header | None, steps: OrderedSteps | None) -> Posterior | None:
    if header is None:
        return None
    sides = [
        _unpack_samples(tensors, f"posterior.{side}", has_strangers=bool(header.get("strangers")))
        for side in ("user", "item")
    ]
    if steps is None and "posterior.cuts" in tensors:
        raise ValueError("cut points without steps")
    return Posterior(
        float(header["center"]),
        float(header["scale"]),
        tensors["posterior.alpha"],
        sides[0],
        sides[1],
        steps=steps,
        cuts=None if steps is None else tensors["posterior.cuts"],
    )


def _unpack_samples(tensors: Tensors, prefix: str, *, has_strangers: bool) -> SideSamples:
    vectors, precision, mean = (tensors[f"{prefix}.{part}"] for part in ("vectors", "precision", "mean"))
    strangers = Strangers.of_prior(mean, precision)  # in files from before they had a Normal of their own
    if has_strangers:
        there = tensors[f"{prefix}.strangers.mean"], tensors[f"{prefix}.strangers.covariance"]
        strangers = Strangers(*there, *(tensors.get(f"{prefix}.strangers.{part}") for part in STRANGERS[2:]))
    return SideSamples(vectors, precision, mean, strangers, tensors.get(f"{prefix}.link"))


def _check(model: Model) -> None:
    """ValueError for parts that contradict each other: a hostile file may say anything."""
    n_users, n_items = len(model.user_vocabulary), len(model.item_vocabulary)
    if model.posterior is not None:
        _check_posterior(model.posterior, n_users, n_items)
        _check_known(model.posterior.users, model.user_info, n_items)
        _check_known(model.posterior.items, model.item_info, n_users)
    if model.posterior is None and (model.user_info is not None or model.item_info is not None):
        raise ValueError("features without a posterior that has a link to them")
    for levels, n in ((model.user_noise, n_users), (model.item_noise, n_items)):
        if levels is not None:
            _expect("noise", levels, (n,), np.float32)
            if not (levels >= 0).all():
                raise ValueError("a noise below 0")
    if not model.limits[0] <= model.limits[1]:
        raise ValueError("the rating range ends before it begins")
    for table, n in ((model.user_table, n_users), (model.item_table, n_items)):
        if table is not None and table.height != n:
            raise ValueError(f"a table has {table.height} rows for {n} labels")


def _check_factors(factors: Factors, n_users: int, n_items: int) -> None:
    widths = factors.users.shape[1], factors.items.shape[1]
    if 0 in widths or not factors.scale > 0:
        raise ValueError("the factors have no column or no scale")
    if factors.steps is not None and (factors.y_range is not None or isinstance(factors, Network)):
        raise ValueError("steps beside another curve from scores to ratings")
    if widths[0] != widths[1] and not isinstance(factors, Network):
        raise ValueError("users and items have different numbers of factors")
    _expect("user factors", factors.users, (n_users, widths[0]), np.float32)
    _expect("item factors", factors.items, (n_items, widths[1]), np.float32)
    for prior, k in zip((factors.user_prior, factors.item_prior), widths, strict=True):
        _expect("prior", prior.precision, (k, k), np.float32)
        _expect("prior", prior.mean, (k,), np.float32)
        if not (prior.alpha >= 0 and prior.ridge >= 0):
            raise ValueError("a prior has a negative precision")
        _expect_positive("prior", prior.precision + np.float32(prior.ridge) * np.eye(k, dtype=np.float32))


def _check_history(rows: CompressedRows, n_users: int, n_items: int) -> None:
    _expect("history", rows.indptr, (n_users + 1,), np.int64)
    _expect("history", rows.indices, rows.values.shape, np.int32)
    _expect("history", rows.values, (len(rows.indices),), np.float32)
    if rows.weights is not None:
        _expect("history", rows.weights, rows.values.shape, np.float32)
    if rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.indices) or (np.diff(rows.indptr) < 0).any():
        raise ValueError("the history's row pointers do not rise from 0 to its length")
    if len(rows.indices) and (rows.indices.min() < 0 or rows.indices.max() >= n_items):
        raise ValueError("the history names an item that is not there")


def _check_posterior(posterior: Posterior, n_users: int, n_items: int) -> None:
    draws, k = len(posterior.alpha), posterior.users.vectors.shape[-1]
    if draws == 0 or not (posterior.alpha > 0).all() or not posterior.scale > 0:
        raise ValueError("the posterior has no draws, or one without noise")
    _expect("posterior", posterior.alpha, (draws,), np.float32)
    if posterior.steps is not None and posterior.cuts is not None:
        _expect("posterior", posterior.cuts, (draws, len(posterior.steps.cuts)), np.float32)
        if not (np.isfinite(posterior.cuts).all() and (np.diff(posterior.cuts, axis=1) > 0).all()):
            raise ValueError("cut points that do not rise")
    for samples, n in ((posterior.users, n_users), (posterior.items, n_items)):
        _expect("posterior", samples.vectors, (draws, n, k), np.float32)
        _expect("posterior", samples.precision, (draws, k, k), np.float32)
        _expect("posterior", samples.mean, (draws, k), np.float32)
        _expect_positive("posterior", samples.precision)


def _check_known(samples: SideSamples, info: SideInfo | None, n_others: int) -> None:
    draws, k = samples.mean.shape
    n_history, n_features = (0, 0) if info is None else (info.n_history, info.n_features)
    if n_history not in (0, n_others):
        raise ValueError(f"{n_history} columns of history for {n_others} labels")
    _expect_if("link", samples.link, (draws, n_features, k), is_there=info is not None)
    strangers = samples.strangers
    _expect("strangers", strangers.mean, (draws, k), np.float32)
    _expect("strangers", strangers.covariance, (draws, k, k), np.float32)
    has_attributes = n_features > n_history
    _expect_if("strangers", strangers.intercept, (draws, k), is_there=has_attributes)
    _expect_if("strangers", strangers.link, (draws, n_features - n_history, k), is_there=has_attributes)
    _expect_if("strangers", strangers.residual, (draws, k, k), is_there=has_attributes)
    for spread in (strangers.covariance, strangers.residual):
        if spread is not None:
            _expect_spread("strangers", spread)


def _expect_if(what: str, array: NDArray[Any] | None, shape: tuple[int, ...], *, is_there: bool) -> None:
    if (array is not None) != is_there:
        raise ValueError(f"{what}: there without features, or features without it")
    if array is not None:
        _expect(what, array, shape, np.float32)


def _expect_positive(what: str, matrices: NDArray[np.float32]) -> None:
    try:
        np.linalg.cholesky(matrices.astype(np.float64))
    except np.linalg.LinAlgError:
        raise ValueError(f"{what}: a precision matrix is not positive definite") from None


def _expect_spread(what: str, covariances: NDArray[np.float32]) -> None:
    """None below zero in any direction, but for rounding; directions without spread may be."""
    if not np.isfinite(covariances).all():
        raise ValueError(f"{what}: a covariance that is not finite")
    values = np.linalg.eigvalsh(covariances.astype(np.float64))
    if (values[:, 0] < -1e-4 * np.abs(values[:, -1]) - 1e-30).any():
        raise ValueError(f"{what}: a covariance below zero")


def _expect(what: str, array: NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{what}: {array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}")


def _number(value: float) -> float | None:
    """A float that JSON can hold: nan as null."""
    return None if np.isnan(value) else float(value)


# ---- rows and labels ------------------------------------------------------------------------------------------------


def _pack_rows(rows: CompressedRows, tensors: Tensors) -> None:
    tensors |= {"history.indptr": rows.indptr, "history.indices": rows.indices, "history.values": rows.values}
    if rows.weights is not None:
        tensors["history.weights"] = rows.weights


def _unpack_rows(tensors: Tensors) -> CompressedRows:
    indptr, indices, values = (tensors[f"history.{part}"] for part in ("indptr", "indices", "values"))
    return CompressedRows(indptr, indices, values, tensors.get("history.weights"))


def _pack_vocabulary(vocabulary: Vocabulary, name: str, tensors: Tensors) -> Header:
    if vocabulary.kind == "integer":
        tensors[f"{name}.labels"] = vocabulary.labels
    else:
        pack_texts(vocabulary.labels.tolist(), f"{name}.labels", tensors)
    return {"kind": vocabulary.kind, "what": vocabulary.what}


def _unpack_vocabulary(header: Header, name: str, tensors: Tensors) -> Vocabulary:
    if header["kind"] not in ("integer", "string"):
        raise ValueError(f"{name} labels of the unknown kind {header['kind']!r}")
    if header["kind"] == "integer":
        labels = tensors[f"{name}.labels"]
    else:
        labels = np.array(unpack_texts(f"{name}.labels", tensors), dtype=object)
    if labels.ndim != 1:
        raise ValueError(f"{name} labels: shape {labels.shape} instead of a list")
    return Vocabulary.in_order(labels, what=str(header["what"]))
