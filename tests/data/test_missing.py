"""What is missing is missing at every entrance of a table, in conditions on it and in its features."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import palate
from palate.data.features import Features

ITEMS = ["a", "b", "c"]
WORDS = ["nan", "NaN", "NA", "n/a", "null", "None", "?", "-", r"\N", "", " "]


def table(price):
    return {"item": ITEMS, "price": price}


def parquet(tmp_path):
    pl.DataFrame(table([7.0, float("nan"), 3.0])).write_parquet(tmp_path / "items.parquet")
    return tmp_path / "items.parquet"


def text(tmp_path, word):
    (tmp_path / "items.csv").write_text(f"item,price\na,7\nb,{word}\nc,3\n")
    return tmp_path / "items.csv"


def json_lines(tmp_path, word):
    lines = [json.dumps({"item": item, "price": price}) for item, price in zip(ITEMS, [7, word, 3], strict=True)]
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    return tmp_path / "items.jsonl"


ENTRANCES = {
    **{f"text, {word!r}": lambda path, word=word: text(path, word) for word in WORDS},
    **{
        f"JSON lines, {word!r}": lambda path, word=word: json_lines(path, word) for word in [*WORDS, float("nan"), None]
    },
    **{f"a list, {word!r}": lambda _, word=word: table([7, word, 3.5]) for word in [*WORDS, float("nan"), None]},
    **{f"pandas objects, {word!r}": lambda _, word=word: pd.DataFrame(table([7, word, 3])) for word in WORDS},
    "an array": lambda _: table(np.array([7, np.nan, 3])),
    "float32": lambda _: table(np.array([7, np.nan, 3], np.float32)),
    "pandas": lambda _: pd.DataFrame(table([7, np.nan, 3])),
    "pandas, nullable": lambda _: pd.DataFrame({"item": ITEMS, "price": pd.array([7, None, 3], "Float64")}),
    "polars": lambda _: pl.DataFrame(table([7.0, float("nan"), 3.0])),
    "pyarrow": lambda _: pl.DataFrame(table([7.0, float("nan"), 3.0])).to_arrow(),
    "Parquet": parquet,
    "in the order of the codes": lambda _: pl.DataFrame({"price": [7.0, float("nan"), 3.0]}),
}


@pytest.fixture(scope="module")
def ratings():
    return palate.read({"user": ["u", "u", "u", "v"], "item": [*ITEMS, "a"], "rating": [5, 4, 3, 2]})


def chosen(rec, where):
    return sorted(rec.recommend("u", where=where, keep_seen=True)["item"])


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_missing_number_is_null_at_every_entrance(entrance, ratings, tmp_path):
    with_table = ratings.with_items(ENTRANCES[entrance](tmp_path))
    price = with_table.item_table["price"]
    assert price.dtype.is_numeric()
    assert price.is_null().to_list() == [False, True, False]
    rec = palate.Bias().fit(with_table)
    assert chosen(rec, "price > 5") == chosen(rec, pl.col("price") > 5) == ["a"]
    assert chosen(rec, "price < 5") == ["c"]
    assert chosen(rec, "price IS NULL") == ["b"]
    features = Features.learned(with_table.item_table, continuous=["price"], min_rows=1)
    assert features.names == ["price", "price missing"]
    assert features.encode(with_table.item_table).to_dense()[:, 1].tolist() == [0, 1, 0]


def test_a_table_given_to_ratings_directly(ratings):
    direct = palate.Ratings(
        ratings.user_codes, ratings.item_codes, ratings.values, user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary, item_table=pl.DataFrame({"price": [7.0, float("nan"), 3.0]}),
    )  # fmt: skip
    assert chosen(palate.Bias().fit(direct), "price > 5") == ["a"]


@pytest.mark.parametrize("word", WORDS[:-2])
def test_a_missing_date_is_null_and_dates_stay_texts(word, ratings, tmp_path):
    for source in ({"item": ITEMS, "born": ["1990-01-01", word, "1980-02-03"]}, tmp_path / "items.csv"):
        if source == tmp_path / "items.csv":
            source.write_text(f"item,born\na,1990-01-01\nb,{word}\nc,1980-02-03\n")
        rec = palate.Bias().fit(ratings.with_items(source))
        assert chosen(rec, "born > '1985-01-01'") == ["a"]
        assert chosen(rec, "born IS NULL") == ["b"]


@pytest.mark.parametrize("word", WORDS[:-2])
def test_among_texts_such_a_word_is_a_text(word, ratings, tmp_path):
    (tmp_path / "items.csv").write_text(f"item,land\na,DE\nb,{word}\nc,FR\n")
    for source in ({"item": ITEMS, "land": ["DE", word, "FR"]}, tmp_path / "items.csv"):
        assert ratings.with_items(source).item_table["land"].to_list() == ["DE", word, "FR"]


def test_codes_of_digits_stay_texts(ratings, tmp_path):
    (tmp_path / "items.csv").write_text("item,zip\na,01234\nb,NA\nc,99999\n")
    assert ratings.with_items(tmp_path / "items.csv").item_table["zip"].to_list() == ["01234", None, "99999"]
