"""Factors of every kind as named arrays and a part of the header of a model file.

A blend holds its parts' vectors side by side, as the file's own, and each part's other tensors under "blend.0." and so
on. Its header stands where an earlier palate looks for item-item weights, so that one refuses the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.models import implicit_links, neighborhood, network
from palate.models.blend import BlendedFactors, BlendPart, split_columns
from palate.models.factors import Factors, Prior
from palate.models.fading import Fading
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import ImplicitFactors
from palate.models.implicit_links import LinkedFactors
from palate.models.network import Network
from palate.models.ordinal import OrderedSteps
from palate.models.pairwise import PairwiseFactors
from palate.models.popular import PopularFactors
from palate.storing.consistency import check_factors
from palate.storing.packing import Header, Tensors

PRIOR_NUMBERS = ("alpha", "ridge", "count_exponent")


def pack_factors(factors: Factors, tensors: Tensors) -> Header:
    """Return the header of factors, without vectors and priors; put the tensors of their kind to the others."""
    header: Header = {"mean": factors.mean, "scale": factors.scale}
    if factors.y_range is not None:
        header["y_range"] = list(factors.y_range)
    if (steps := factors.steps) is not None:
        header["steps"] = {
            "values": steps.values.tolist(),
            "cuts": steps.cuts.tolist(),
            "doubt": factors.score_variance,
        }
    if isinstance(factors, Network):
        header["network"], parts = network.pack(factors)
        tensors |= parts
    if isinstance(factors, BlendedFactors):
        header["histories"] = {"blend": _pack_blend(factors, tensors)}
    elif isinstance(factors, HistoryFactors):
        header["histories"], parts = neighborhood.pack(factors)
        tensors |= parts
    if isinstance(factors, ImplicitFactors):
        header["implicit"] = {"unobserved_weight": factors.unobserved_weight, "confidence": factors.confidence}
        header["implicit"] |= {} if factors.fading.is_none else {"fading": factors.fading.header()}
    if isinstance(factors, PopularFactors):
        header["popular"] = factors.fading.header()
    if isinstance(factors, LinkedFactors):
        tensors |= implicit_links.pack(factors)
    if isinstance(factors, PairwiseFactors):
        header["paired"] = {"n_candidates": factors.n_candidates}
        if factors.loss != "bpr":
            header["paired"] |= {"loss": factors.loss, "temperature": factors.temperature}
    return header


def pack_priors(factors: Factors, tensors: Tensors) -> Header:
    """Return the header of both priors; put their tensors to the others."""
    header: Header = {}
    for side, prior in (("user", factors.user_prior), ("item", factors.item_prior)):
        tensors |= {f"{side}.precision": prior.precision, f"{side}.mean": prior.mean}
        header[f"{side}_prior"] = {name: getattr(prior, name) for name in PRIOR_NUMBERS}
    return header


def unpack_factors(tensors: Tensors, header: Header) -> Factors:
    """Return the factors of a file, of any kind. header: with the priors, and the factors' own under "factors"."""
    user_prior, item_prior = (
        Prior(
            tensors[f"{side}.precision"],
            tensors[f"{side}.mean"],
            **{name: float(header[f"{side}_prior"][name]) for name in PRIOR_NUMBERS},
        )
        for side in ("user", "item")
    )
    header = header["factors"]
    factors = Factors(
        float(header["mean"]),
        tensors["user.factors"],
        tensors["item.factors"],
        user_prior,
        item_prior,
        float(header["scale"]),
        _unpack_range(header.get("y_range")),
        **_unpack_steps(header.get("steps")),
    )
    if "network" in header:
        factors = network.unpack(factors, header["network"], tensors)
    if "implicit" in header:
        own = header["implicit"] | {"fading": Fading.of(header["implicit"].get("fading"))}
        factors = implicit_links.unpack(ImplicitFactors.of(factors, **own), tensors)
    if "popular" in header:
        factors = PopularFactors.of(factors, fading=Fading.of(header["popular"]))
    if "paired" in header:
        factors = PairwiseFactors.of(
            factors, **header["paired"] | {"n_candidates": int(header["paired"]["n_candidates"])}
        )
    if "blend" in header.get("histories", {}):
        factors = _unpack_blend(factors, header["histories"]["blend"], tensors)
    elif "histories" in header:
        factors = neighborhood.unpack(factors, header["histories"], tensors)
    return factors


def _unpack_steps(header: Header | None) -> dict[str, Any]:
    if header is None:
        return {}
    score_variance = float(header["doubt"])
    if not 0 <= score_variance < np.inf:
        raise ValueError(f"score variance {score_variance} is not valid")
    return {"steps": OrderedSteps(header["values"], header["cuts"]), "score_variance": score_variance}


def _unpack_range(y_range: list[float] | None) -> tuple[float, float] | None:
    if y_range is None:
        return None
    low, high = map(float, y_range)
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"y_range {low:g}..{high:g} is not a range")
    return low, high


# ---- blends ----------------------------------------------------------------------------------------------------------


def _pack_blend(blend: BlendedFactors, tensors: Tensors) -> Header:
    parts = []
    for at, (name, factors, multiplier) in enumerate(blend.parts):
        own: Tensors = {}
        header = {"factors": pack_factors(factors, own), **pack_priors(factors, own)}
        if factors.items[:, -1].any():
            own["item.bias"] = np.ascontiguousarray(factors.items[:, -1])
        tensors |= {f"blend.{at}.{tensor}": values for tensor, values in own.items()}
        parts.append({"name": name, "multiplier": multiplier, "n_factors": factors.n_factors, **header})
    return {"confidence": blend.confidence, "parts": parts}


def _unpack_blend(whole: Factors, header: Header, tensors: Tensors) -> BlendedFactors:
    """Return a blend, without history. Raise ValueError if its parts do not fit together."""
    headers = list(header["parts"])
    names, widths = [str(part["name"]) for part in headers], [int(part["n_factors"]) for part in headers]
    if not names or len(set(names)) < len(names):
        raise ValueError("a blend without parts, or with two of one name")
    if min(widths) < 0 or sum(widths) != whole.n_factors or whole.users.shape != (len(whole.users), 1 + sum(widths)):
        raise ValueError(f"a blend of {widths} factors with vectors of {whole.n_factors}")
    if whole.users[:, -1].any() or whole.items[:, -1].any():
        raise ValueError("a blend with biases of its own")
    users, items = (split_columns(vectors, widths) for vectors in (whole.users, whole.items))
    parts = []
    for at, (part, own_users, own_items) in enumerate(zip(headers, users, items, strict=True)):
        prefix = f"blend.{at}."
        own = {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}
        own |= {"user.factors": own_users, "item.factors": _with_bias(own_items, own.get("item.bias"))}
        factors = _part_of(unpack_factors(own, part))
        check_factors(factors, len(whole.users), len(whole.items))
        multiplier = float(part["multiplier"])
        if not 0 < multiplier < np.inf:
            raise ValueError(f"a part of a blend has the multiplier {multiplier}")
        parts.append(BlendPart(names[at], factors, multiplier))
    return BlendedFactors.of(whole, confidence=header["confidence"], parts=tuple(parts))


def _part_of(factors: Factors) -> Factors:
    """The factors, if they can be a part of a blend: scores of choices."""
    if isinstance(factors, BlendedFactors | Network) or not factors.is_linear:
        raise ValueError("a part of a blend that is no model of choices")
    if isinstance(factors, HistoryFactors) and factors.damping is not None:
        raise ValueError("a part of a blend that learned from ratings")
    return factors


def _with_bias(items: Any, bias: Any) -> Any:
    """Vectors of items (n, k) with these biases (n,) in the last column; as they are without."""
    if bias is None:
        return items
    if bias.shape != (len(items),):
        raise ValueError(f"{bias.shape} biases of {len(items)} items")
    return np.column_stack([items[:, :-1], bias])
