"""Features in a model file: a header for each field; arrays, and the words of texts, beside it under its number."""

from __future__ import annotations

import numpy as np

from palate.data.features import Features
from palate.data.features.stored import stored_field
from palate.storing.packing import Header, Tensors, pack_texts, unpack_texts

WORDS = "words"  # of a text: too many for a header


def pack_features(features: Features, name: str, tensors: Tensors) -> Header:
    """Add the arrays and words of features to tensors and return the rest as a header."""
    fields = []
    for at, field in enumerate(features.fields):
        stored = stored_field(field)
        if WORDS in stored:
            pack_texts(stored.pop(WORDS), f"{name}.{at}.{WORDS}", tensors)
        arrays = {part: value for part, value in stored.items() if isinstance(value, np.ndarray)}
        tensors |= {f"{name}.{at}.{part}": value for part, value in arrays.items()}
        fields.append({part: value for part, value in stored.items() if part not in arrays})
    return {"n_rows": features.n_rows, "fields": fields}


def unpack_features(header: Header, name: str, tensors: Tensors) -> Features:
    """Return the features that pack_features() added. Raise ValueError, TypeError or KeyError if parts do not fit."""
    fields = []
    for at, field in enumerate(header["fields"]):
        prefix = f"{name}.{at}."
        parts: Header = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if parts.keys() & {f"{WORDS}.text", f"{WORDS}.ends"}:
            del parts[f"{WORDS}.text"], parts[f"{WORDS}.ends"]
            parts[WORDS] = unpack_texts(prefix + WORDS, tensors)
        fields.append({**field, **parts})
    return Features.from_dict({"n_rows": header["n_rows"], "fields": fields})
