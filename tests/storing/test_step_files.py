"""Model files with the distribution over steps: it comes back, older files do without, and invalid ones are refused."""

import numpy as np
import pytest

import palate
from helpers.data import told_and_timed
from helpers.model_files import assert_refused
from palate.errors import OptionError
from palate.models.step_distribution import TAILS
from palate.storing import container

SHORT = {"n_factors": 3, "n_sweeps": 8, "n_samples": 4}


@pytest.fixture(scope="module", params=["gaussian", "ordinal"])
def rec(request):
    return palate.Bayes(likelihood=request.param, **SHORT).fit(told_and_timed())


@pytest.fixture(scope="module")
def file(rec, tmp_path_factory):
    path = tmp_path_factory.mktemp("steps") / "model.palate"
    rec.save(path)
    return path


@pytest.fixture(scope="module")
def gaussian(tmp_path_factory):
    path = tmp_path_factory.mktemp("gaussian") / "model.palate"
    palate.Bayes(**SHORT).fit(told_and_timed()).save(path)
    return path


def pairs_of(rec):
    return rec.model.user_vocabulary.labels[:9].tolist(), rec.model.item_vocabulary.labels[:9].tolist()


def with_parts(header, **lies):
    return header | {"step_distribution": header["step_distribution"] | lies}


def test_the_distribution_comes_back(rec, file):
    again = palate.load(file)
    for options in ({}, {"level": 0.5}, {"distribution": True}):
        assert again.predict(*pairs_of(rec), **options).equals(rec.predict(*pairs_of(rec), **options))
    user = pairs_of(rec)[0][0]
    for options in ({"by": "lower"}, {"by": "chance", "at_least": 4}):
        assert again.recommend(user, **options).equals(rec.recommend(user, **options))
    small = palate.load(file).compact()
    assert (
        small.predict(*pairs_of(rec), distribution=True).columns
        == rec.predict(*pairs_of(rec), distribution=True).columns
    )


def test_older_files_keep_the_intervals_they_had(rec, file, tmp_path):
    """The mean less and plus as many standard deviations; only models of ordinal ratings had probabilities."""
    tensors, header = container.read(file)
    older = {name: part for name, part in header.items() if name != "step_distribution"}
    container.write(tmp_path / "older.palate", tensors, older)
    again = palate.load(tmp_path / "older.palate")
    codes = np.arange(9, dtype=np.int32), np.arange(9, dtype=np.int32)
    forecast = again.model.forecast(*codes)
    low, high = forecast.interval(0.5)
    np.testing.assert_allclose((low + high) / 2, forecast.mean)
    np.testing.assert_allclose((high - low) / 2, 0.6744897501960817 * forecast.standard_deviation)
    is_ordinal = rec.model.factors.steps is not None
    assert (forecast.probabilities is not None) is is_ordinal
    if is_ordinal:
        new = rec.predict(*pairs_of(rec), distribution=True)
        assert again.predict(*pairs_of(rec), distribution=True)[:, 5:].equals(new[:, 5:])
    else:
        with pytest.raises(OptionError, match="this model has none"):
            again.predict(*pairs_of(rec), distribution=True)


RISING = TAILS.tolist()
LIES = {
    "cuts that fall": {"cuts": [4.0, 3.0, 2.0, 1.0]},
    "cuts that are one": {"cuts": [2.0, 2.0, 3.0, 4.0]},
    "too few cuts": {"cuts": [1.0, 2.0]},
    "cuts of words": {"cuts": ["a", "b", "c", "d"]},
    "cuts without end": {"cuts": [0.0, 1.0, 2.0, 1e999]},
    "no cuts": {"cuts": None},
    "values that fall": {"values": [5, 4, 3, 2, 1]},
    "one value": {"values": [1], "cuts": []},
    "too many values": {"values": list(range(21)), "cuts": list(range(20))},
}
TAIL_LIES = {
    "tails of words": ["a", "b"],
    "no tails": None,
    "a single tail": [[0.5], [0.5], [0.5]],
    "one row": RISING,
    "two rows": [RISING] * 2,
    "rows of different lengths": [RISING, RISING, RISING[:-1]],
    "tails that fall": [RISING[::-1]] * 3,
    "quantiles that fall": [RISING, RISING[::-1], RISING],
    "tails above a half": [RISING, RISING, [2 * tail for tail in RISING]],
    "tails of zero": [RISING, [0.0, *RISING[1:]], RISING],
    "tails that are none": [RISING, [float("nan"), *RISING[1:]], RISING],
    "tails that end early": [RISING[:-1]] * 3,
}


@pytest.mark.parametrize("lie", LIES)
def test_invalid_steps_are_refused(lie, gaussian, tmp_path):
    tensors, header = container.read(gaussian)
    assert_refused(tmp_path / "lie.palate", tensors, with_parts(header, **LIES[lie]))


@pytest.mark.parametrize("lie", TAIL_LIES)
def test_invalid_tails_are_refused(lie, file, tmp_path):
    tensors, header = container.read(file)
    assert_refused(tmp_path / "lie.palate", tensors, with_parts(header, tails=TAIL_LIES[lie]))
