"""Makes the hostile model files that tests/files/hostile/README.md lists: name -> (bytes, the error they must give)."""

import hashlib
import json
import struct

import numpy as np

from palate import errors

DATA = np.arange(6, dtype="<f4").tobytes()
TENSOR = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
HEADER = {"digest": "0" * 64, "format": 1, "palate": "0.1.0"}


def table(*, header=HEADER, palate_text=None, **tensors):
    text = json.dumps(header) if palate_text is None else palate_text
    return {"__metadata__": {"palate": text}, **(tensors or {"x": TENSOR})}


def whole(header, data=DATA, length=None):
    """A file from its table (a dict, or any bytes) and its data; `length` lies about the table's size."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def signed(tensors, data, header=None):
    """A file with a digest that is right: whoever changes a file can also compute its checksum."""
    body = {"format": 1, "palate": "0.1.0", **(header or {})}
    digest = hashlib.sha256(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())
    kinds = {"F32": "<f4", "BOOL": "|b1", "U8": "|u1"}
    for name, entry in sorted(tensors.items()):
        line = [name, kinds[entry["dtype"]], entry["shape"]]
        digest.update(json.dumps(line, separators=(",", ":")).encode())
        digest.update(data[slice(*entry["data_offsets"])])
    return whole(table(header={"digest": digest.hexdigest(), **body}, **tensors), data)


def tensor(**changes):
    return table(x={**TENSOR, **changes})


def hostile_files():
    tampered, not_a_model = errors.TamperedModelError, errors.NotAModelError
    duplicate = json.dumps(table()).replace('{"__meta', '{"x": {}, "__meta').encode()
    deep = b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    second = {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 48]}
    return {
        "empty": (b"", errors.TruncatedModelError),
        "eight-bytes": (struct.pack("<Q", 2), errors.TruncatedModelError),
        "text": (b"user,item,rating\n1,2,3\n", not_a_model),
        "zip": (b"PK\x03\x04" + bytes(200), not_a_model),
        "pickle": (b"\x80\x04\x95" + bytes(200), not_a_model),
        "json": (b'{"user": 1, "item": 2, "rating": 3}', not_a_model),
        "other-safetensors": (whole({"x": TENSOR}), not_a_model),
        "other-metadata": (whole({"__metadata__": {"format": "pt"}, "x": TENSOR}), not_a_model),
        "metadata-is-a-list": (whole({"__metadata__": ["palate"], "x": TENSOR}), not_a_model),
        "palate-is-a-number": (whole({"__metadata__": {"palate": 1}, "x": TENSOR}), not_a_model),
        "header-claims-all": (whole(table(), length=2**64 - 1), errors.OversizedModelError),
        "header-claims-too-much": (whole(table(), length=4_000_001), errors.OversizedModelError),
        "header-claims-more-than-there-is": (whole(table(), length=4_000_000), errors.TruncatedModelError),
        "header-cut": (whole(json.dumps(table()).encode()[:-9], b""), tampered),
        "header-not-utf8": (whole(b'{"\xff\xfe": 1}'), tampered),
        "header-not-json": (whole(b"{this is not JSON}"), tampered),
        "header-with-nan": (whole(table(x=float("nan"))), tampered),
        "header-nested-deeply": (whole(deep), tampered),
        "header-duplicate-key": (whole(duplicate), tampered),
        "palate-text-not-json": (whole(table(palate_text="{")), tampered),
        "palate-text-a-list": (whole(table(palate_text="[1]")), tampered),
        "palate-text-duplicate-key": (whole(table(palate_text='{"format": 1, "format": 1}')), tampered),
        "palate-text-nested-deeply": (whole(table(palate_text="[" * 200_000)), tampered),
        "palate-text-infinite": (whole(table(palate_text=json.dumps(HEADER)[:-1] + ', "m": 1e999}')), tampered),
        "palate-text-long-number": (whole(table(palate_text='{"format": ' + "9" * 9_999 + "}")), tampered),
        "format-newer": (whole(table(header={**HEADER, "format": 2})), errors.ModelVersionError),
        "format-newer-and-all-else-new": (
            whole(table(header={"format": 9}, x={"dtype": "Q4", "codec": "new"})),
            errors.ModelVersionError,
        ),
        "format-zero": (whole(table(header={**HEADER, "format": 0})), tampered),
        "format-text": (whole(table(header={**HEADER, "format": "1"})), tampered),
        "format-true": (whole(table(header={**HEADER, "format": True})), tampered),
        "format-missing": (whole(table(header={"digest": "0" * 64})), tampered),
        "digest-missing": (whole(table(header={"format": 1})), tampered),
        "digest-wrong": (whole(table()), tampered),
        "digest-a-number": (whole(table(header={**HEADER, "digest": 0})), tampered),
        "tensor-not-an-object": (whole(table(x=[1, 2])), tampered),
        "tensor-without-shape": (whole(table(x={"dtype": "F32", "data_offsets": [0, 24]})), tampered),
        "tensor-with-more": (whole(tensor(codec="zip")), tampered),
        "dtype-unknown": (whole(tensor(dtype="F16", shape=[12])), tampered),
        "dtype-object": (whole(tensor(dtype="O")), tampered),
        "dtype-a-list": (whole(tensor(dtype=["F32"])), tampered),
        "shape-negative": (whole(tensor(shape=[-2, -3])), tampered),
        "shape-fraction": (whole(tensor(shape=[2.0, 3])), tampered),
        "shape-true": (whole(tensor(shape=[True, 6])), tampered),
        "shape-a-number": (whole(tensor(shape=6)), tampered),
        "shape-too-large": (whole(tensor(shape=[2**40, 2**40])), tampered),
        "shape-wraps-around": (whole(tensor(shape=[2**62 + 6])), tampered),
        "shape-of-nothing-too-large": (whole(tensor(shape=[0, 2**62, 9], data_offsets=[0, 0]), b""), tampered),
        "shape-of-nothing-beyond-64-bits": (whole(tensor(shape=[0, 2**80], data_offsets=[0, 0]), b""), tampered),
        "shape-of-100-dimensions": (whole(tensor(shape=[1] * 99 + [6])), tampered),
        "offsets-negative": (whole(tensor(data_offsets=[-24, 0])), tampered),
        "offsets-into-the-header": (whole(tensor(data_offsets=[-8, 16])), tampered),
        "offsets-backwards": (whole(tensor(data_offsets=[24, 0])), tampered),
        "offsets-fraction": (whole(tensor(data_offsets=[0, 24.0])), tampered),
        "offsets-three": (whole(tensor(data_offsets=[0, 12, 24])), tampered),
        "offsets-beyond-the-end": (whole(tensor(shape=[2, 300], data_offsets=[0, 2400])), errors.TruncatedModelError),
        "offsets-far-beyond-the-end": (
            whole(tensor(shape=[2**70], data_offsets=[0, 2**72])),
            errors.TruncatedModelError,
        ),
        "tensors-overlap": (whole(table(x=TENSOR, y=TENSOR)), tampered),
        "tensors-with-a-gap": (whole(tensor(data_offsets=[8, 32]), DATA + bytes(8)), tampered),
        "data-cut": (whole(table(), DATA[:-1]), errors.TruncatedModelError),
        "data-missing": (whole(table(x=TENSOR, y=second), DATA), errors.TruncatedModelError),
        "data-goes-on": (whole(table(), DATA + b"\0"), tampered),
        "data-changed": (signed({"x": TENSOR}, DATA)[:-1] + b"\x7f", tampered),
        "booleans-of-two": (signed({"x": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\1\2"), tampered),
    }
