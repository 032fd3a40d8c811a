"""Features of texts and vectors in model files: they come back, need no other library, and hostile ones are refused."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import TamperedModelError
from palate.storing import container

F = np.float32
WORDS = [f"{a}{b}{c}e" for a in "bdfgk" for b in "aeiou" for c in "lmnrt"]


@pytest.fixture(scope="module")
def rec():
    ratings = palate.datasets.synthetic(n_users=40, n_items=60, n_ratings=900, seed=1)
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "item": ratings.item_vocabulary.labels.tolist(),
            "about": [" ".join(rng.choice(WORDS, 15)) for _ in range(60)],
            "emb": rng.normal(size=(60, 5)).astype(F),
            "lists": [None, [], [0.5], *[[0.25, None, 2.0]] * 57],
            "counts": rng.integers(0, 2, (60, 4)),
        }
    )
    return palate.Bayes(n_factors=2, n_sweeps=6).fit(ratings.with_items(table))


@pytest.fixture(scope="module")
def path(rec, tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "model.palate"
    rec.save(path)
    return path


def test_features_and_tables_come_back(rec, path, tmp_path):
    loaded = palate.load(path)
    assert loaded.model.item_info.attributes == rec.model.item_info.attributes
    report = loaded.model.item_info.attributes.report
    assert report["about"].startswith("text, 6 dimensions of ")
    assert report["emb"] == "vectors of 5 numbers, 5 dimensions"
    assert report["lists"] == "left out: lists of 1 to 3 numbers: vectors have one length"
    assert report["counts"].startswith("vectors of 4 numbers")
    assert loaded.model.item_table.drop("lists").equals(rec.model.item_table.drop("lists"))
    assert loaded.model.item_table["lists"].to_list()[:3] == [None, [], [0.5]]
    loaded.save(tmp_path / "again.palate")
    again = palate.load(tmp_path / "again.palate").model
    assert again.item_table.equals(loaded.model.item_table)
    assert (tmp_path / "again.palate").read_bytes() == path.read_bytes()


def test_a_loaded_model_encodes_new_items_without_other_libraries(rec, path):
    """In a process of its own, in which scikit-learn, SciPy and torch cannot be imported."""
    told = {"about": " ".join(WORDS[:9]), "emb": [1, 0, 0, 2, 0.5], "counts": [0, 0, 1, 1]}
    code = (
        "import sys\n"
        "for name in ('sklearn', 'scipy', 'torch', 'pandas'): sys.modules[name] = None\n"
        f"import palate\nrec = palate.load({str(path)!r})\n"
        f"print(*rec.fold_in({{}}, side='item', features={told!r}).predict(['u1', 'u2'])['prediction'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = rec.fold_in({}, side="item", features=told).predict(["u1", "u2"])["prediction"].to_list()
    np.testing.assert_allclose([float(number) for number in run.stdout.split()], expected, rtol=1e-6)


TEXT, VECTOR, TABLE = "item.attributes.0", "item.attributes.1", "item_table"
WRONG = {
    "no words": {f"{TEXT}.words.text": None, f"{TEXT}.words.ends": None},
    "words without ends": {f"{TEXT}.words.ends": None},
    "words that are no text": {f"{TEXT}.words.text": np.full(5, 255, np.uint8)},
    "a missing word": {f"{TEXT}.words.ends": np.array([-1, 4])},
    "too few weights": {f"{TEXT}.idf": np.ones(2, F)},
    "weights of doubles": {f"{TEXT}.idf": np.ones(2)},
    "no components": {f"{TEXT}.components": None},
    "components of another shape": {f"{TEXT}.components": np.ones((2, 6), F)},
    "components in three dimensions": {f"{VECTOR}.components": np.ones((5, 5, 1), F)},
    "components of another number": {f"{VECTOR}.components": np.ones((5, 4), F)},
    "too large components": {f"{VECTOR}.components": np.full((5, 5), 1e30, F)},
    "components that are not finite": {f"{VECTOR}.components": np.full((5, 5), np.nan, F)},
    "no mean": {f"{VECTOR}.mean": np.zeros(0, F)},
    "an unknown part": {f"{VECTOR}.odd": np.zeros(3, F)},
    "integers": {f"{VECTOR}.mean": np.zeros(5, np.int64)},
    "vectors of no length": {f"{TABLE}.1.lengths": None},
    "vectors longer than their numbers": {f"{TABLE}.1.lengths": np.full(60, 6)},
    "vectors of lengths that wrap": {f"{TABLE}.1.lengths": np.full(60, 2**62)},
    "vectors of integers": {f"{TABLE}.1": np.zeros(300, np.int64)},
    "vectors of a matrix": {f"{TABLE}.1": np.zeros((60, 5), F)},
    "lengths of doubles": {f"{TABLE}.1.lengths": np.full(60, 5.0)},
}


@pytest.mark.parametrize("name", WRONG)
def test_parts_that_do_not_fit_are_refused(path, tmp_path, name):
    tensors, header = container.read(path)
    for tensor, value in WRONG[name].items():
        if value is None:
            del tensors[tensor]
        else:
            tensors[tensor] = value
    container.write(tmp_path / "wrong.palate", tensors, header)
    with pytest.raises(TamperedModelError, match="its parts do not fit together"):
        palate.load(tmp_path / "wrong.palate")
