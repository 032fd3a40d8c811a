"""Titles: which column of a table holds them. tests/answers/test_names.py asks how they are found."""

import polars as pl

from palate.data.titles import titles


def test_the_column_of_titles_is_known_by_its_name():
    assert titles(None) is None
    assert titles(pl.DataFrame({"year": [1]})) is None
    assert titles(pl.DataFrame({"year": [1], "genre": ["x"], "Title": ["tea"]})) == ["tea"]
    assert titles(pl.DataFrame({"year": [1], "genre": ["x"]})) is None
    assert titles(pl.DataFrame({"gender": ["f"], "occupation": ["nurse"], "named": ["x"]})) is None
    assert titles(pl.DataFrame({"imdb_url": ["http"], "Movie Title": ["tea"]})) == ["tea"]
    assert titles(pl.DataFrame({"movie_title:token_seq": ["tea"], "class:token": ["x"]})) == ["tea"]
    assert titles(pl.DataFrame({"original-title": ["a"], "name": ["b"], "TITLE": ["c"]})) == ["c"]
    assert titles(pl.DataFrame({"nickname": ["a"], "subtitle": ["b"], "Name": ["c"]})) == ["c"]
    assert titles(pl.DataFrame({"title": [1], "item_name": ["c"]})) == ["c"]
