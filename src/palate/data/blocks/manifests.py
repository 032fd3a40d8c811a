"""Manifests: what must hold of one, however it came to be, before any file that it names is opened."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from palate.data.ratings import KINDS, ReadReport

SIDES = {"by_user": "items", "by_item": "users"}
SIZES = {"starts": 8, "items": 4, "users": 4, "values": 4, "weights": 4, "times": 8}  # bytes of a number
LABELS = ("users.arrow", "items.arrow")
MOST = 2**31 - 1  # of users and of items: codes are int32


def check_manifest(manifest: Any) -> None:
    """Raise ValueError, KeyError or TypeError for a manifest that no writer makes."""
    for name, most in (("n_users", MOST), ("n_items", MOST), ("n_ratings", 2**56)):
        _need(_is_count(manifest[name]) and manifest[name] <= most, f"{name} is {manifest[name]!r}")
    _need(manifest["kind"] in KINDS, f"the kind is {manifest['kind']!r}")
    threshold = manifest["like_threshold"]
    _need(threshold is None or _is_number(threshold), f"like_threshold is {threshold!r}")
    low_high = manifest["range"]
    _need(low_high is None or (len(low_high) == 2 and all(map(_is_number, low_high))), f"the range is {low_high!r}")
    base = manifest.get("base")
    _need(base is None or (isinstance(base, str) and Path(base).is_absolute()), f"the base is {base!r}")
    _check_files(manifest)
    _check_report(manifest["report"])


def _check_files(manifest: Any) -> None:
    files = manifest["files"]
    allowed = _sizes(manifest)
    for name, entry in files.items():
        _need(name in allowed, f"no file is called {name!r}")
        _need(_is_count(entry["bytes"]) and _is_count(entry["crc32"]), f"the entry of {name} is {entry!r}")
        size = allowed[name]
        _need(size in (None, entry["bytes"]), f"{name} should have {size} bytes")
    needed = {f"by_user.{name}" for name in ("starts", "items", "values")}
    if "base" not in manifest:
        needed |= {*LABELS, *(f"by_item.{name}" for name in ("starts", "users", "values"))}
    lacking = sorted(needed - files.keys())
    _need(not lacking, f"it has no {', '.join(lacking)}")
    by_item = "by_item.starts" in files
    alike = ("by_user.weights" in files) == ("by_item.weights" in files)
    _need(alike or not by_item, "only one side has weights")


def _sizes(manifest: Any) -> dict[str, int | None]:
    """The files that there may be -> their bytes; None for those of labels."""
    sizes: dict[str, int | None] = dict.fromkeys(LABELS)
    for side, column in SIDES.items():
        n_rows = manifest["n_users" if side == "by_user" else "n_items"]
        sizes[f"{side}.starts"] = 8 * (n_rows + 1)
        for name in (column, "values", "weights", *(("times",) if side == "by_user" else ())):
            sizes[f"{side}.{name}"] = SIZES[name] * manifest["n_ratings"]
    return sizes


def _check_report(report: Any) -> None:
    """Check the types of a report's fields by those of an empty report."""
    empty = ReadReport()
    for field in fields(ReadReport):
        value, kind = report[field.name], type(getattr(empty, field.name))
        kind = list if kind is tuple else kind
        _need(type(value) is kind, f"{field.name} of the report is {value!r}")
        if kind is list:
            _need(all(isinstance(one, str) for one in value), f"{field.name} of the report is {value!r}")
    for name in ("bad_rows", "left_out"):
        _need(all(map(_is_count, report[name].values())), f"{name} of the report is {report[name]!r}")
    for name in ("columns", "unused", "how"):
        _need(all(isinstance(one, str) for one in report[name].values()), f"{name} of the report is {report[name]!r}")
    for found in report["lacking"].values():
        n, of, why = found
        _need(_is_count(n) and _is_count(of) and isinstance(why, str), f"lacking of the report is {found!r}")
    unknown = report.keys() - {field.name for field in fields(ReadReport)}
    _need(not unknown, f"the report has {', '.join(sorted(unknown))}")


def _need(holds: bool, else_: str) -> None:
    if not holds:
        raise ValueError(else_)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
