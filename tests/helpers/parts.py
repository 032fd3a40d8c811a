"""Comparing dataclasses part by part."""

import math
from dataclasses import fields, is_dataclass

import numpy as np


def assert_same_parts(one, two):
    """Equal arrays and numbers, however deep they lie."""
    for field in fields(one):
        value, other = getattr(one, field.name), getattr(two, field.name)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype
            np.testing.assert_array_equal(value, other)
        elif isinstance(value, float):
            assert value == other or (math.isnan(value) and math.isnan(other))
        elif is_dataclass(value):
            assert_same_parts(value, other)
