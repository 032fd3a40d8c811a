"""Calls of kernels: a result or a Python error, never a crash, whatever the arguments."""

import importlib.util
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from palate import kernels

BORDER = Path(__file__).parents[1] / "kernels" / "test_border.py"
NUMBERS = [0, 1, -1, 2, 3, 255, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, 0.5, -0.5, 1e-320, 1e39, 1e308, True]
CELLS = [0, 1, -1, 2, 5, 2**31 - 1, -(2**31), 1e38, np.nan, np.inf]
DTYPES = [np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_]
INPUT = st.data()
REFUSALS = (TypeError, ValueError, IndexError, MemoryError, OverflowError)


def good_calls():
    """Valid calls of the kernels, from the tests of their border."""
    spec = importlib.util.spec_from_file_location("border", BORDER)
    border = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(border)
    return border.GOOD


GOOD = good_calls()


def changed(data, value):
    """An argument changed in one way."""
    if not isinstance(value, np.ndarray):
        return data.draw(st.sampled_from([*NUMBERS, None, "text", np.zeros(2, np.float32)]))
    how = data.draw(st.sampled_from(["cell", "dtype", "shape", "layout", "absurd", "none", "number"]))
    value = value.copy()
    if how == "cell" and value.size:
        with np.errstate(all="ignore"):
            cell = np.array(data.draw(st.sampled_from(CELLS))).astype(value.dtype)
        value.flat[data.draw(st.integers(0, value.size - 1))] = cell
    elif how == "dtype":
        value = value.astype(data.draw(st.sampled_from(DTYPES)))
    elif how == "shape":
        value = data.draw(st.sampled_from([value[None], value.reshape(-1), value[:-1], value[..., :0], value[:0]]))
    elif how == "layout":
        value = data.draw(st.sampled_from([value[::-1], np.asfortranarray(value), np.repeat(value, 2, axis=0)[::2]]))
    elif how == "absurd":  # shapes that need no memory, whose products wrap around
        shapes = [(2**40, 0), (2**60, 0), (0, 2**31), (0, 2**60)]
        value = np.empty(data.draw(st.sampled_from(shapes)), [value.dtype, np.uint8][value.itemsize > 4])
    elif how == "number":
        value = data.draw(st.sampled_from(NUMBERS))
    else:
        value = None
    return value


def check(data):
    """A valid call with one or two arguments changed."""
    name = data.draw(st.sampled_from(sorted(GOOD)))
    arguments = {key: copied(value) for key, value in GOOD[name]().items()}
    for key in data.draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True)):
        arguments[key] = changed(data, arguments[key])
    arguments["n_threads"] = data.draw(st.sampled_from([0, 1, 2, 3, -1, 2**31 - 1]))
    try:
        getattr(kernels, name)(**arguments)
    except REFUSALS:
        return


def copied(value):
    """An array of its own, since kernels change some in place."""
    return value.copy() if isinstance(value, np.ndarray) else value
