"""Model files of ordinal ratings: steps and cut points that are not valid are refused."""

import math

import numpy as np
import pytest

import palate
from helpers.data import told_and_timed
from helpers.model_files import assert_refused
from palate.storing import container


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ordinal") / "model.palate"
    palate.Bayes(likelihood="ordinal", time=True, n_factors=3, n_sweeps=8, n_samples=4).fit(told_and_timed()).save(path)
    return path


def steps_with(header, **lies):
    return header | {"factors": header["factors"] | {"steps": header["factors"]["steps"] | lies}}


HEADER_LIES = {
    "cuts that fall": {"cuts": [1.0, 0.0, 2.0, 3.0]},
    "cuts that are one": {"cuts": [0.0, 0.0, 1.0, 2.0]},
    "too few cuts": {"cuts": [0.0, 1.0]},
    "cuts of words": {"cuts": ["a", "b", "c", "d"]},
    "cuts without end": {"cuts": [0.0, 1.0, 2.0, 1e999]},
    "values that fall": {"values": [5, 4, 3, 2, 1]},
    "one value": {"values": [1], "cuts": []},
    "too many values": {"values": list(range(21)), "cuts": list(range(20))},
    "a table of values": {"values": [[1, 2, 3, 4, 5]]},
    "doubt below zero": {"doubt": -0.1},
    "doubt without end": {"doubt": 1e999},
    "no doubt": {"doubt": None},
    "no values": {"values": None},
}


TENSOR_LIES = {
    "cuts that fall": lambda cuts: -cuts,
    "cuts that are one": np.zeros_like,
    "cuts of one draw": lambda cuts: cuts[:1],
    "too few cuts": lambda cuts: np.ascontiguousarray(cuts[:, :-1]),
    "flat cuts": np.ravel,
    "cuts in float64": lambda cuts: cuts.astype(np.float64),
    "cuts without end": lambda cuts: np.where(cuts == cuts.max(), np.inf, cuts).astype(np.float32),
    "cuts that are none": lambda cuts: np.full_like(cuts, math.nan),
}


@pytest.mark.parametrize("lie", HEADER_LIES)
def test_invalid_steps_are_refused(lie, file, tmp_path):
    tensors, header = container.read(file)
    assert_refused(tmp_path / "lie.palate", tensors, steps_with(header, **HEADER_LIES[lie]))


@pytest.mark.parametrize("lie", TENSOR_LIES)
def test_invalid_cut_points_of_draws_are_refused(lie, file, tmp_path):
    tensors, header = container.read(file)
    lying = TENSOR_LIES[lie](np.array(tensors["posterior.cuts"]))
    assert_refused(tmp_path / "lie.palate", tensors | {"posterior.cuts": lying}, header)


def test_steps_and_their_cuts_come_together(file, tmp_path):
    tensors, header = container.read(file)
    without = {name: part for name, part in tensors.items() if name != "posterior.cuts"}
    assert_refused(tmp_path / "lie.palate", without, header)
    factors = {name: part for name, part in header["factors"].items() if name != "steps"}
    assert_refused(tmp_path / "lie.palate", tensors, header | {"factors": factors})
    for missing in ("values", "cuts", "doubt"):
        steps = {name: part for name, part in header["factors"]["steps"].items() if name != missing}
        assert_refused(tmp_path / "lie.palate", tensors, header | {"factors": header["factors"] | {"steps": steps}})
    range_too = header["factors"] | {"y_range": [0.0, 6.0]}
    assert_refused(tmp_path / "lie.palate", tensors, header | {"factors": range_too})


def test_effects_of_a_file_with_steps_are_checked(file, tmp_path):
    tensors, header = container.read(file)
    spoiled = tensors["effects.session.0.users"] + np.int32(150)
    assert_refused(tmp_path / "lie.palate", tensors | {"effects.session.0.users": spoiled}, header)
