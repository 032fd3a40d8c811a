"""The border of the kernels: any arguments give a clear Python error or a correct result, never a crash."""

import re
import subprocess
import sys

import numpy as np
import pytest

from palate import kernels
from palate.kernels import reference

NAN, INF = float("nan"), float("inf")


def f32(*shape):
    return np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape) / 7


def good_solve():
    return {
        "indptr": np.array([0, 2, 2, 6]), "indices": np.array([0, 4, 1, 2, 3, 4], dtype=np.int32), "values": f32(6),
        "other": f32(5, 3), "precision": np.eye(3, dtype=np.float32), "mean": f32(3), "weights": f32(6),
        "row_weights": f32(3), "other_weights": f32(5), "ridge": f32(3), "background": np.eye(3, dtype=np.float32),
        "previous": f32(3, 3), "relaxation": 0.5,
    }  # fmt: skip


def good_predict():
    return {
        "users": f32(4, 3), "items": f32(5, 3),
        "user_codes": np.array([0, 3, 1], dtype=np.int32), "item_codes": np.array([4, 0, 4], dtype=np.int32),
    }  # fmt: skip


def good_compress():
    codes = np.array([2, 0, 2, 1], dtype=np.int32)
    return {"row_codes": codes, "other_codes": codes[::-1].copy(), "values": f32(4), "weights": f32(4), "n_rows": 3}


def good_rows():
    return {"indptr": np.array([0, 2, 2, 3]), "indices": np.array([0, 3, 3], dtype=np.int32), "n_columns": 4}


def good_descend():
    return {
        "users": f32(4, 16) / 100, "items": f32(5, 16) / 100,
        "user_codes": np.array([0, 3, 1], dtype=np.int32), "item_codes": np.array([4, 0, 2], dtype=np.int32),
        "values": f32(3), "cells": np.array([0, 1, 2, 2, 3]), "strata": np.array([[0, 3], [1, 2]], dtype=np.int32),
        "rates": f32(2),
        "weights": f32(3), "user_squares": f32(4), "item_squares": f32(5), "n_factors": 14,
    }  # fmt: skip


def good_draw():
    return {
        "means": f32(4), "steps": np.array([0, 3, 1, 2], dtype=np.uint8), "cuts": f32(3),
        "seed": 5, "sweep": 1, "stream": 2,
    }  # fmt: skip


def good_count():
    steps = np.array([0, 3, 1, 2], dtype=np.int32)
    return {"means": f32(4), "steps": steps, "n_steps": 4, "low": 0.0, "width": 0.1, "n_bins": 5}


def good_product():
    return {"indptr": np.array([0, 2, 2, 3]), "indices": np.array([0, 3, 1], dtype=np.int32), "values": f32(3),
            "table": f32(4, 3)}  # fmt: skip


def good_link():
    return {
        "indptr": np.array([0, 2, 2, 3]), "indices": np.array([0, 3, 1], dtype=np.int32), "values": f32(3),
        "link": f32(3, 2), "residuals": f32(4, 2), "ridge": f32(3), "factor": f32(2, 2), "relaxation": 0.5,
        "seed": 5, "stream": 2,
    }  # fmt: skip


CHANGED_IN_PLACE = {"draw_link": ("link", "residuals"), "descend": ("users", "items", "user_squares", "item_squares")}
GOOD = {
    "solve_rows": good_solve,
    "predict_pairs": good_predict,
    "compress_rows": good_compress,
    "has_repeats": good_rows,
    "multiply_rows": good_product,
    "draw_link": good_link,
    "gram": lambda: {"x": f32(4, 3)},
    "descend": good_descend,
    "draw_truncated": good_draw,
    "expect_truncated": lambda: {name: good_draw()[name] for name in ("means", "steps", "cuts")},
    "count_steps": good_count,
    "step_curve": lambda: {"scores": f32(5), "cuts": f32(3), "gains": f32(3), "variances": f32(5)},
    "select_top": lambda: {"scores": f32(4, 3), "n": 2},
}
ARRAYS = [(kernel, name) for kernel, good in GOOD.items() for name in good() if isinstance(good()[name], np.ndarray)]
each_array = pytest.mark.parametrize(("kernel", "name"), ARRAYS)


def call(kernel, **changes):
    return getattr(kernels, kernel)(**GOOD[kernel]() | changes)


def equals_reference(kernel, **changes):
    one, two = GOOD[kernel]() | changes, GOOD[kernel]() | changes  # descend changes its arguments in place
    actual, expected = getattr(kernels, kernel)(**one), getattr(reference, kernel)(**two)
    for one, two in zip(as_tuple(actual), as_tuple(expected), strict=True):
        if two is None:
            assert one is None
        else:
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def as_tuple(answer):
    return answer if isinstance(answer, tuple) else (answer,)


@pytest.mark.parametrize("kernel", GOOD)
def test_the_valid_call_equals_the_reference(kernel):
    equals_reference(kernel)


@each_array
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.int16, np.uint32, bool, complex, ">f4", object])
def test_another_dtype_raises(kernel, name, dtype):
    array = GOOD[kernel]()[name]
    if array.dtype == dtype:
        return
    with pytest.raises(TypeError, match=name):
        call(kernel, **{name: array.astype(dtype)})


@each_array
def test_another_layout_raises(kernel, name):
    array = GOOD[kernel]()[name]
    layouts = [np.repeat(array, 2, axis=-1)[..., ::2], np.flip(array.copy())]
    if array.ndim == 2:
        layouts += [np.asfortranarray(array), np.repeat(array, 2, axis=0)[::2]]
    for layout in layouts:
        same = layout.copy()
        with pytest.raises(TypeError, match=name):
            call(kernel, **{name: layout})
        if array.dtype == np.float32 and name != "cuts":  # which must rise
            call(kernel, **{name: abs(same)})


def test_a_misaligned_array_raises():
    misaligned = np.frombuffer(bytes(4 * 12 + 1), dtype=np.float32, offset=1).reshape(4, 3)
    assert misaligned.flags.c_contiguous and not misaligned.flags.aligned
    with pytest.raises(TypeError, match="x must be"):
        kernels.gram(misaligned)


@each_array
def test_another_shape_raises(kernel, name):
    array = GOOD[kernel]()[name]
    shapes = [array[None], array[..., None], array.ravel()[0].reshape(())]
    one_fewer = [] if name == "cuts" else [array[:-1]]  # then a step is out of bounds
    shapes += [array.ravel()] if array.ndim == 2 else one_fewer
    shapes += (
        [np.append(array, array[-1:] + 1)] if array.ndim == 1 and name not in ("cells", "cuts") else []
    )  # one more empty cell is fine, and so is one more cut
    for shape in shapes:
        with pytest.raises((TypeError, ValueError), match=r"shape|must rise|outside|incompatible function"):
            call(kernel, **{name: np.ascontiguousarray(shape) if shape.ndim else shape})


@each_array
@pytest.mark.parametrize("thing", ["abc", 3, [1.0, 2.0], object(), b"abcde", {}])
def test_what_is_not_an_array_raises(kernel, name, thing):
    with pytest.raises(TypeError, match=r"incompatible function arguments|must "):
        call(kernel, **{name: thing})


@pytest.mark.parametrize(
    ("kernel", "name"), [("solve_rows", "other"), ("predict_pairs", "users"), ("predict_pairs", "items")]
)
def test_tables_of_different_width_raise(kernel, name):
    with pytest.raises(TypeError, match="shape"):
        call(kernel, **{name: f32(5, 4)})


@pytest.mark.parametrize(
    ("kernel", "name", "limit"),
    [
        ("solve_rows", "indices", 5),
        ("predict_pairs", "user_codes", 4),
        ("predict_pairs", "item_codes", 5),
        ("compress_rows", "row_codes", 3),
        ("has_repeats", "indices", 4),
        ("count_steps", "steps", 4),
    ],
)
@pytest.mark.parametrize("bad", [-1, -(2**31), "limit", 2**31 - 1])
@pytest.mark.parametrize("position", [0, -1])
def test_an_index_out_of_bounds_raises(kernel, name, limit, bad, position):
    codes = GOOD[kernel]()[name]
    codes[position] = limit if bad == "limit" else bad
    with pytest.raises(IndexError, match=rf"{name} holds {codes[position]}, outside 0\.\.{limit - 1}"):
        call(kernel, **{name: codes})


@pytest.mark.parametrize(
    "indptr", [[1, 2, 2, 6], [0, 2, 2, 5], [0, 2, 2, 7], [0, 4, 2, 6], [0, -1, 2, 6], [0, 9, 2, 6]]
)
def test_an_invalid_indptr_raises(indptr):
    with pytest.raises(ValueError, match="indptr must rise"):
        call("solve_rows", indptr=np.array(indptr))


def test_an_empty_indptr_raises():
    with pytest.raises(TypeError, match="indptr"):
        call("solve_rows", indptr=np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    "option",
    [{"alpha": NAN}, {"alpha": -1.0}, {"alpha": INF}, {"scale": 0.0}, {"scale": NAN}, {"scale": -1.0}, {"scale": INF},
     {"center": NAN}, {"center": INF}, {"n_threads": -1}, {"weights": -f32(6)}, {"weights": f32(6) * np.float32(NAN)},
     {"row_weights": -f32(3)}, {"other_weights": f32(5) * np.float32(INF)}, {"first_row": -1},
     {"first_row": 2**31 - 3}],
)  # fmt: skip
def test_an_invalid_option_raises(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        call("solve_rows", **option)


@pytest.mark.parametrize(
    "option",
    [{"ridge": -f32(3)}, {"ridge": f32(3) * np.float32(NAN)}, {"ridge": f32(3) * np.float32(INF)}, {"scale": 1e-300},
     {"center": 1e300},
     {"mean": f32(3) * np.float32(NAN)}, {"precision": np.eye(3, dtype=np.float32) + np.float32(INF)}],
    ids=str,
)  # fmt: skip
def test_an_option_beyond_float32_or_below_zero_raises(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        call("solve_rows", **option)


@pytest.mark.parametrize(
    "option",
    [{"seed": -1}, {"seed": 2**64}, {"sweep": 2**32}, {"stream": -1}, {"n_threads": 2**31}, {"draw": "yes"}],
    ids=str,
)
def test_an_option_of_another_type_or_size_raises(option):
    with pytest.raises(TypeError, match=next(iter(option))):
        call("solve_rows", **option)


@pytest.mark.parametrize("precision", [np.zeros((3, 3)), -np.eye(3), np.ones((3, 3))])
def test_a_matrix_that_is_not_positive_definite_raises(precision):
    changes = {"background": None, "ridge": None, "alpha": 0.0, "precision": precision.astype(np.float32)}
    with pytest.raises(ValueError, match=r"row [012] is not positive definite"):
        call("solve_rows", **changes)
    with pytest.raises(ValueError, match=r"row 4[012] is not positive definite"):
        call("solve_rows", **changes, first_row=40)


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [("gram", {"x": f32(3, 0)}), ("gram", {"x": np.zeros((1, 4097), np.float32)}), ("solve_rows", {"other": f32(5, 0)}),
     ("predict_pairs", {"users": f32(4, 0), "items": f32(5, 0), "bias": True})],
)  # fmt: skip
def test_no_columns_or_too_many_raise(kernel, changes):
    with pytest.raises(ValueError, match="between 1 and 4096 columns"):
        call(kernel, **changes)


@pytest.mark.parametrize("kernel", ["predict_pairs", "gram", "select_top"])
def test_a_negative_number_of_threads_raises(kernel):
    with pytest.raises(ValueError, match="n_threads"):
        call(kernel, n_threads=-1)


def test_negative_counts_raise():
    with pytest.raises(ValueError, match="n must be >= 0"):
        call("select_top", n=-1)
    with pytest.raises(ValueError, match="n must be >= 0"):
        kernels.normals(0, 0, 0, 0, -1)
    with pytest.raises(ValueError, match="n_rows must be >= 0"):
        call("compress_rows", n_rows=-1)


@pytest.mark.parametrize("n_rows", [2**31, 2**40, 2**62, 2**63 - 1])
def test_more_rows_than_int32_codes_raise(n_rows):
    """In a process of its own, because the largest count once ended in a segmentation fault."""
    source = f"""
import numpy as np
from palate import kernels
codes, values = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
try:
    kernels.compress_rows(codes, codes, values, None, {n_rows})
except (MemoryError, ValueError) as error:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_unknown_levels_name_the_level():
    with pytest.raises(ValueError, match="level v99"):
        kernels.use_level("v99")
    assert kernels.level() in kernels.levels()


def test_philox_takes_words_only():
    for bad in (-1, 2**32):
        with pytest.raises(TypeError, match="philox"):
            kernels.philox(bad, 0, 0, 0, 0, 0)


# ---- small and empty arguments

EMPTY = np.zeros(0, dtype=np.int32)


def test_no_rows():
    x, sse = call(
        "solve_rows",
        indptr=np.zeros(1, np.int64),
        indices=EMPTY,
        values=f32(0),
        weights=f32(0),
        row_weights=f32(0),
        ridge=f32(0),
        previous=f32(0, 3),
        errors=True,
    )
    assert x.shape == (0, 3) and sse.shape == (0,)


def test_no_ratings_gives_the_prior():
    changes = {"indptr": np.zeros(4, np.int64), "indices": EMPTY, "values": f32(0), "weights": None, "background": None}
    np.testing.assert_allclose(call("solve_rows", **changes)[0], np.tile(f32(3), (3, 1)), rtol=1e-6)
    equals_reference("solve_rows", **changes, draw=True)
    equals_reference("solve_rows", **changes, other=f32(0, 3), other_weights=f32(0), errors=True)


@pytest.mark.parametrize("bias", [False, True])
def test_one_factor(bias):
    one = np.ones((1, 1), dtype=np.float32)
    prior = {"precision": one, "mean": f32(1), "background": one, "previous": f32(3, 1)}
    equals_reference("solve_rows", other=f32(5, 1), **prior, bias=bias, draw=True)
    equals_reference("predict_pairs", users=f32(4, 1), items=f32(5, 1), bias=bias)
    equals_reference("gram", x=f32(4, 1))


def test_empty_arrays():
    equals_reference("predict_pairs", user_codes=EMPTY, item_codes=EMPTY)
    equals_reference("predict_pairs", users=f32(0, 3), items=f32(0, 3), user_codes=EMPTY, item_codes=EMPTY)
    equals_reference("gram", x=f32(0, 3))
    equals_reference("compress_rows", row_codes=EMPTY, other_codes=EMPTY, values=f32(0), weights=None, n_rows=0)
    for scores, n in [(f32(0, 3), 2), (f32(4, 0), 2), (f32(4, 3), 0), (f32(4, 3), 2**62)]:
        equals_reference("select_top", scores=scores, n=n)
    assert kernels.normals(0, 0, 0, 0, 0).shape == (0,)


@pytest.mark.parametrize("kernel", ["solve_rows", "predict_pairs", "gram", "select_top"])
def test_far_more_threads_than_tasks(kernel):
    equals_reference(kernel, n_threads=2**31 - 1)


@pytest.mark.parametrize("kernel", GOOD)
def test_read_only_arrays_are_taken_and_nothing_is_written_to_them(kernel):
    arguments, changed = GOOD[kernel](), CHANGED_IN_PLACE.get(kernel, ())
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and name not in changed:
            value.setflags(write=False)
    getattr(kernels, kernel)(**arguments)
    for name, value in GOOD[kernel]().items():
        if name not in changed:
            np.testing.assert_array_equal(arguments[name], value)


@pytest.mark.parametrize("name", CHANGED_IN_PLACE["descend"])
def test_arrays_changed_in_place_must_be_writable(name):
    table = GOOD["descend"]()[name]
    table.setflags(write=False)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        call("descend", **{name: table})


@pytest.mark.parametrize("bad", [f32(2, 3), f32(3, 2), np.zeros((3, 3)), f32(9), f32(3, 6)[:, ::2]])
def test_modes_must_be_an_array_of_the_rows(bad):
    with pytest.raises(TypeError, match="modes"):
        call("solve_rows", modes=bad)


@pytest.mark.parametrize("bad", [f32(2, 3), f32(3, 2), np.zeros((3, 3)), f32(9), f32(3, 6)[:, ::2]])
@pytest.mark.parametrize("draw", [False, True])
def test_the_draws_before_must_be_an_array_of_the_rows(bad, draw):
    with pytest.raises(TypeError, match="previous"):
        call("solve_rows", previous=bad, draw=draw)


def test_the_draws_before_must_be_finite():
    with pytest.raises(ValueError, match="previous holds NaN or infinity"):
        call("solve_rows", previous=np.full((3, 3), np.nan, np.float32), draw=True)


@pytest.mark.parametrize("bad", [-0.1, 1.0, np.nan, np.inf, 1 - 1e-9])
def test_a_relaxation_is_from_0_to_below_1(bad):
    with pytest.raises(ValueError, match="relaxation"):
        call("solve_rows", previous=f32(3, 3), draw=True, relaxation=bad)


def test_modes_must_be_writable():
    modes = f32(3, 3)
    modes.setflags(write=False)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        call("solve_rows", modes=modes)


def test_descend_needs_rows_of_whole_vectors_and_both_squares():
    with pytest.raises(ValueError, match="multiple of 16 columns"):
        call("descend", users=f32(4, 15), items=f32(5, 15))
    with pytest.raises(ValueError, match="n_factors \\+ 2 or more"):
        call("descend", n_factors=15)
    with pytest.raises(TypeError, match="both user_squares and item_squares"):
        call("descend", user_squares=None)
    with pytest.raises(ValueError, match="rates"):
        call("descend", rates=-f32(2))
    with pytest.raises(IndexError, match="strata holds 4"):
        call("descend", strata=np.array([[0, 4], [1, 2]], dtype=np.int32))


def test_a_nan_rating_stays_in_its_row():
    values = f32(6)
    values[0] = NAN
    x, clean = call("solve_rows", values=values)[0], call("solve_rows")[0]
    assert np.isnan(x[0]).all()
    np.testing.assert_array_equal(x[1:], clean[1:])


def test_results_outlive_the_call_and_belong_to_the_caller():
    first = call("solve_rows")[0]
    kept = first.copy()
    first += 1
    np.testing.assert_array_equal(call("solve_rows")[0], kept)


# ---- docstrings


@pytest.mark.parametrize("kernel", kernels.__all__)
def test_a_kernel_documents_what_it_takes_returns_and_raises(kernel):
    function = getattr(kernels, kernel)
    ((signature, doc, _),) = function.__nb_signature__
    summary, *rest = doc.split("\n")
    assert summary.endswith(".") and len(summary) <= 120 and (not rest or rest[0] == "")
    sections = [line for line in rest if line in ("Parameters:", "Returns:", "Raises:")]
    assert sections == sorted(sections, key=["Parameters:", "Returns:", "Raises:"].index)
    documented = doc.partition("Parameters:\n")[2].partition("\nReturns:")[0]
    for name in re.findall(r"(\w+): ", signature):
        assert re.search(rf"\b{name}\b", documented), f"{name} is not documented"


EMPTY = np.zeros(0, np.int32)


def rows_of_nothing(n_rows):
    return {"indptr": np.zeros(n_rows + 1, np.int64), "indices": EMPTY, "values": None}


@pytest.mark.parametrize("n_rows", [8, 16, 17, 2**10])
@pytest.mark.parametrize("width", [2**58, 2**60, 2**60 + 1, 2**61 - 1])
def test_sizes_whose_product_wraps_around_are_refused(n_rows, width):
    with pytest.raises((MemoryError, ValueError)):
        kernels.multiply_wide(**rows_of_nothing(n_rows), table=np.zeros((0, width), np.float32))


@pytest.mark.parametrize("width", [2**31 - 65, 2**31, 2**32 + 3, 2**60])
def test_widths_beyond_an_int_are_refused(width):
    with pytest.raises((MemoryError, ValueError)):
        kernels.multiply_rows(**rows_of_nothing(2**20), table=np.zeros((0, width), np.float32))
    with pytest.raises(ValueError, match="columns"):
        kernels.gram(np.zeros((0, width), np.float32))
    with pytest.raises(ValueError, match="columns"):
        kernels.top_n(np.zeros((0, width), np.float32), np.zeros((0, width), np.float32), 3)


@pytest.mark.parametrize("n_rows", [2**40, 2**59, 2**60])
def test_rows_without_columns_beyond_memory_are_refused_or_empty(n_rows):
    scores = np.zeros((n_rows, 0), np.float32)
    for answer in kernels.top_n_of(scores, 3):
        assert answer.shape == (n_rows, 0)
    with pytest.raises((MemoryError, ValueError, TypeError)):
        kernels.rank_targets_of(scores, np.zeros(1, np.int64), EMPTY)


def test_counts_of_many_steps_and_bins_need_no_memory_for_each_thread():
    many = {"n_steps": 256, "n_bins": 65536}
    one, two = (call("count_steps", **many, n_threads=n) for n in (1, 256))
    assert one.shape == (256, 65536)
    assert (one == two).all()


DAEMON = """
import sys, threading, time
import numpy as np
from palate import kernels

x = np.ones((int(sys.argv[3]), 16), np.float32)
begun = threading.Event()

def work():
    while True:
        begun.set()
        kernels.gram(x, n_threads=int(sys.argv[1]))

for _ in range(int(sys.argv[4])):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03])
def test_a_daemon_thread_in_a_kernel_lets_the_interpreter_end(n_threads, seconds):
    ends_well(n_threads, seconds, 1_000_000, 1)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_many_daemon_threads_in_short_kernels_let_it_end_too(n_threads):
    """Here some thread nearly always takes Python's lock back just when the interpreter ends."""
    for seconds in (0.0, 0.01):
        ends_well(n_threads, seconds, 50, 4)


def ends_well(*arguments):
    command = [sys.executable, "-c", DAEMON, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
