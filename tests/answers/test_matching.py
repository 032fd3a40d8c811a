"""Matching one person's file with a model: by label, ISBN, title and year; never a wrong item without a word."""

import io
import sqlite3
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.answers.matching import Found, Match, _agree, _without_conflicts
from palate.answers.works import isbn13, works_of
from palate.data.reading.exports import EXPORTS
from palate.errors import DataError, OptionError

FILMS = ["Matrix, The (1999)", "Sabrina (1954)", "Sabrina (1995)", "Star Wars: Episode IV - A New Hope (1977)",
         "Up (2009)", "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "WALL·E (2008)", "Heat (1995)",
         "Heat (1986)", "Mission, The (1986)", "Fast & Furious (2009)", "Dark (2015)", "1984 (1984)", "Se7en (1995)",
         "Avventura, L' (1960)", "8 1/2 (1963)", "(500) Days of Summer (2009)"]  # fmt: skip


def model(titles, labels=None, *, values=(1, 5), kind="explicit", likes=None, **columns):
    """A model of these items, whose labels are 101, 102, ..."""
    labels = labels or [str(101 + at) for at in range(len(titles))]
    rows = [(user, label, values[at % 2]) for at, label in enumerate(labels) for user in ("ann", "bob")]
    ratings = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row", strict=False)
    read = palate.read(ratings.drop("rating") if kind == "implicit" else ratings, kind=kind)
    read = read if likes is None else read.likes(likes)
    if any(titles):
        read = read.with_items(pl.DataFrame({"item": labels, "title": titles, **columns}))
    return (palate.Popularity() if read.is_implicit else palate.Bias()).fit(read, progress=False)


FILM_MODEL = model(FILMS)
LABEL_OF = {title: str(101 + at) for at, title in enumerate(FILMS)}


def letterboxd(*rows):
    """(title, year) or (title, year, rating) as an export."""
    lines = [f'2024-01-01,"{row[0]}",{row[1]},https://boxd.it/{at},{(*row, 4)[2]}' for at, row in enumerate(rows)]
    return io.BytesIO("\n".join(["Date,Name,Year,Letterboxd URI,Rating", *lines]).encode())


def goodreads(*rows):
    """(id, title, author, isbn, rating) as an export."""
    lines = [f'{book},"{title}","{author}","=""{isbn}""",{rating}' for book, title, author, isbn, rating in rows]
    return io.BytesIO("\n".join(["Book Id,Title,Author,ISBN13,My Rating", *lines]).encode())


# ---- titles and years


@pytest.mark.parametrize(
    ("title", "year", "expected", "by"),
    [
        ("The Matrix", 1999, "Matrix, The (1999)", "title and year"),
        ("matrix", 1999, "Matrix, The (1999)", "title and year"),
        ("THE MATRIX!", 2000, "Matrix, The (1999)", "title, one year apart"),
        ("Sabrina", 1954, "Sabrina (1954)", "title and year"),
        ("Sabrina", 1995, "Sabrina (1995)", "title and year"),
        ("Star Wars", 1977, "Star Wars: Episode IV - A New Hope (1977)", "title without its subtitle"),
        ("Up: A Film", 2009, "Up (2009)", "title without its subtitle"),
        ("Amelie", 2001, "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "title and year"),
        ("Le fabuleux destin d’Amélie Poulain", 2001, "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
         "title without its subtitle"),
        ("WALL-E", 2008, "WALL·E (2008)", "title and year"),
        ("Fast and Furious", 2009, "Fast & Furious (2009)", "title and year"),
        ("L'avventura", 1960, "Avventura, L' (1960)", "title and year"),
        ("8½", 1963, "8 1/2 (1963)", "title and year"),
        ("500 Days of Summer", 2009, "(500) Days of Summer (2009)", "title and year"),
        ("Heat (Director's Cut)", 1995, "Heat (1995)", "title and year"),
    ],
)  # fmt: skip
def test_titles_that_are_the_same(title, year, expected, by):
    found = FILM_MODEL.match(letterboxd((title, year)))
    assert found.ratings == {LABEL_OF[expected]: 4}
    assert found.by == {by: 1}
    assert (found.n_matched, found.n_items) == (1, 1)
    assert bool(found.assumed) == (by == "title without its subtitle")


@pytest.mark.parametrize(
    ("title", "year"),
    [("The Matrix", 2021), ("Mission: Impossible", 1996), ("Matrix Reloaded", 1999), ("Dark: Part 1", 2020),
     ("Up", 1984), ("It", 2017), ("", 1999), ("???", 1999), ("The", 1999)],
)  # fmt: skip
def test_titles_that_are_not(title, year):
    found = FILM_MODEL.match(letterboxd((title or "x", year)))
    assert (found.ratings, found.by, found.seen) == ({}, {}, [])
    assert len(found.unmatched) == 1


def test_what_fits_several_items_is_listed_and_not_taken():
    found = FILM_MODEL.match({"title": ["Sabrina", "Heat", "Up"], "rating": [5, 4, 3]})
    assert found.ratings == {LABEL_OF["Up (2009)"]: 3}
    assert found.by == {"title": 1}
    assert found.ambiguous["Heat"] == ("Heat (1995) [108]", "Heat (1986) [109]")
    assert set(found.ambiguous) == {"Sabrina", "Heat"}
    assert "2 ambiguous, not taken" in str(found)
    assert found.assumed == {"Up": "Up (2009) [105]"}  # it may be another Up
    assert "'Up' as 'Up (2009) [105]'" in str(found)


def test_a_title_with_all_its_brackets_comes_first():
    bands = model(["Ann", "Ann (Live)", "Bo (Tour 2009)", "Bo (Tour 2010)"])
    found = bands.match({"title": ["Ann", "Ann (Live)", "Bo"], "rating": [5, 4, 3]})
    assert found.ratings == {"101": 5, "102": 4}
    assert set(found.ambiguous) == {"Bo"}


def test_different_works_of_one_title_do_not_share_an_item():
    plain = model(["Sabrina", "Up"])
    both = plain.match(letterboxd(("Sabrina", 1954), ("Sabrina", 1995), ("Up", 2009)))
    assert both.ratings == {"102": 4}
    assert set(both.ambiguous) == {"Sabrina (1954)", "Sabrina (1995)"}
    assert plain.match(letterboxd(("Sabrina", 1954))).ratings == {"101": 4}


def test_subtitles_are_dropped_only_where_one_item_fits():
    saga = model(["Saga: The Beginning", "Saga: The End", "Sapiens: A Brief History"])
    assert saga.match({"title": ["Saga", "Sapiens"], "rating": [5, 4]}).ratings == {"103": 4}
    assert saga.match({"title": ["Saga: The Middle", "Sapiens: Another One"], "rating": [5, 4]}).ratings == {}


def test_a_series_is_not_taken_for_a_film():
    views = io.BytesIO(b'Title,Date\n"Dark: Season 1: Secrets",1/1/20\n"Dark: Season 1: Lies",1/1/20\n"Up",1/2/20\n')
    films = model(FILMS, kind="implicit").match(views)
    assert films.ratings == [LABEL_OF["Up (2009)"]]
    assert set(films.ambiguous) == {"Dark: Season 1: Secrets", "Dark: Season 1: Lies"}
    views.seek(0)
    assert model(["Dark", "Up"], kind="implicit").match(views).ratings == ["101", "102"]


def test_an_episode_or_a_game_is_not_taken_for_a_film_of_its_year():
    head = "Const,Your Rating,Date Rated,Title,Title Type,Year"
    rows = [("tt1", "Up", "TV Episode"), ("tt2", "Heat", "Video Game"), ("tt3", "Heat", "Movie")]
    lines = [f"{const},8,2024-01-01,{title},{kind},{2009 if title == 'Up' else 1995}" for const, title, kind in rows]
    found = FILM_MODEL.match(io.BytesIO("\n".join([head, *lines]).encode()))
    assert found.ratings == {LABEL_OF["Heat (1995)"]: 4}
    assert set(found.ambiguous) == {"Up (2009)", "Heat (1995)"}


def test_books_need_an_author_in_common_where_both_sides_have_one():
    books = model(["Emma", "Emma", "Dune"], author=["Jane Austen", "A. McCall Smith", "Herbert, Frank"])
    own = goodreads((1, "Emma", "Jane Austen", "", 5), (2, "Dune (Dune #1)", "Frank Herbert", "", 4))
    assert books.match(own).ratings == {"101": 5, "103": 4}
    assert books.match(goodreads((1, "Dune", "Somebody Else", "", 5))).ratings == {}


def test_a_book_is_not_taken_for_a_film_of_its_title():
    found = FILM_MODEL.match(goodreads((1, "Heat", "A Writer", "", 5), (2, "Up", "A Writer", "", 5)))
    assert found.ratings == {}
    assert set(found.ambiguous) == {"Heat", "Up"}


# ---- ids


def test_labels_first_and_numbers_only_if_titles_agree():
    assert FILM_MODEL.match({"movieId": ["105", "999"], "rating": [5, 4]}).ratings == {"105": 5}
    other_numbers = goodreads((105, "Something Else", "A Writer", "", 5))
    assert FILM_MODEL.match(other_numbers).ratings == {}
    no_titles = model([None, None])
    assert no_titles.match(goodreads((101, "Dune", "Frank Herbert", "", 5))).ratings == {}
    assert no_titles.match(goodreads((101, "Dune", "Frank Herbert", "", 5)), item="Book Id").ratings == {"101": 5}


def test_a_title_that_is_a_number_is_not_a_label():
    ratings = FILM_MODEL.match({"title": ["1984", "105 Things"], "year": [1984, 2000], "rating": [5, 4]}).ratings
    assert ratings == {LABEL_OF["1984 (1984)"]: 5}


def test_labels_that_are_integers():
    ratings = palate.read({"user": ["ann", "bob"], "item": [1, 2], "rating": [5, 3]})
    rec = palate.Bias().fit(ratings.with_items({"item": [1, 2], "title": ["Up (2009)", "It (2017)"]}))
    assert rec.match({"movieId": [1, 7], "rating": [5, 4]}).ratings == {1: 5}
    assert rec.match(letterboxd(("It", 2017))).ratings == {2: 4}


def test_isbns_of_10_and_13_digits_are_one():
    books = model(["x", "y", "z"], labels=["0441172717", "9780141439686", "080442957X"])
    own = goodreads((1, "Dune", "F", "9780441172719", 5), (2, "Persuasion", "J", "9780141439686", 3),
                    (3, "Z", "Z", "9780804429573", 2), (4, "None", "N", "9780804429574", 1))  # fmt: skip
    found = books.match(own)
    assert found.ratings == {"0441172717": 5, "9780141439686": 3, "080442957X": 2}
    assert found.by == {"ISBN": 3}
    columns = model(["Dune", "Emma"], isbn=["441172717", None], isbn13=[None, "978-0-14-143958-7"])
    own = goodreads((1, "Other Title", "F", "9780441172719", 5), (2, "Another", "J", "9780141439587", 3))
    assert columns.match(own).ratings == {"101": 5, "102": 3}


def test_imdb_ids():
    films = model(["A", "B"], imdbId=[87182, 1160419])
    text = "Const,Your Rating,Date Rated,Title,Year\ntt0087182,10,2024-01-01,Dune,1984\ntt9999999,8,2024-01-01,C,2000\n"
    found = films.match(io.BytesIO(text.encode()))
    assert found.ratings == {"101": 5}
    assert found.by == {"IMDb id": 1}


@given(st.integers(1, 10**9 - 1), st.sampled_from(["{}", '="{}"', " {} ", "{}.0"]))
def test_isbn_10_becomes_that_of_13(number, written):
    """Sums written down anew: weights 10 to 1 modulo 11, and weights 1 and 3 modulo 10."""
    nine = f"{number:09}"
    rest = -sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), nine, strict=True)) % 11
    ten = nine + ("X" if rest == 10 else str(rest))
    thirteen = isbn13(written.format(ten))
    assert thirteen is not None
    assert thirteen[:12] == f"978{nine}"
    assert sum(int(digit) * (1, 3)[at % 2] for at, digit in enumerate(thirteen)) % 10 == 0
    assert isbn13(written.format(thirteen)) == thirteen
    wrong = thirteen[:-1] + str((int(thirteen[-1]) + 1) % 10)
    assert isbn13(wrong) is None


@pytest.mark.parametrize("value", [None, "", "0", "0000000000", "nan", float("nan"), "tt0087182", "97804411727"])
def test_what_is_no_isbn(value):
    assert isbn13(value) is None


TITLE_PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)


@given(TITLE_PARTS, TITLE_PARTS)
def test_any_text_is_a_title_and_equal_ones_have_equal_names(title, other):
    first, second, third = works_of(["a", "b", "c"], pl.DataFrame({"title": [title, title.upper().lower(), other]}))
    assert first.names == works_of(["a"], pl.DataFrame({"title": [title]}))[0].names
    assert all(work.label in ("a", "b", "c") for work in (first, second, third))


@given(st.lists(st.sampled_from([*FILMS, "Other (2001)", "Heat", "Sabrina"]), unique=True, min_size=1))
def test_each_item_of_the_file_is_matched_ambiguous_or_neither(titles):
    found = FILM_MODEL.match({"title": titles, "rating": [3.0] * len(titles)})
    assert found.n_matched + len(found.ambiguous) + len(found.unmatched) == len(titles) == found.n_items
    assert set(found.seen) == set(found.ratings)
    assert set(found.ratings) >= {LABEL_OF[title] for title in titles if title in FILMS and "Heat" not in titles}


# ---- the model's scale


@pytest.mark.parametrize(
    ("values", "rating", "expected"),
    [((0.5, 5), 7, 3.5), ((1, 5), 1, 1), ((1, 10), 7, 7), ((1, 100), 7, 70), ((-10, 10), 10, 10), ((-10, 10), 1, -10),
     ((0, 1), 7, 0.7)],
)  # fmt: skip
def test_imdb_ratings_on_the_scale_of_the_model(values, rating, expected):
    films = model(["Dune (1984)", "Up (2009)"], values=values)
    text = f"Const,Your Rating,Date Rated,Title,Year\ntt0087182,{rating},2024-01-01,Dune,1984\n"
    found = films.match(io.BytesIO(text.encode()))
    assert found.ratings["101"] == pytest.approx(expected)
    assert films.fold_in(found.ratings).recommend(exclude=found.seen)["item"].to_list() == ["102"]
    assert found.scale


def test_scales_are_those_on_which_the_services_let_people_rate():
    assert {export.name: export.scale for export in EXPORTS if export.scale is not None} == {
        "a Goodreads export": (1, 5),
        "a StoryGraph export": (0.25, 5),
        "a Letterboxd export": (0.5, 5),
        "an IMDb export": (1, 10),
        "a MyAnimeList export": (1, 10),
    }


@pytest.mark.parametrize(
    ("ratings", "values", "expected"),
    [
        ([4.5, 2], (1, 5), [4.5, 2]),  # a table of one's own: as it is, where it fits
        ([1, 1], (1, 5), [1, 1]),
        ([0.5, 5], (1, 5), [1, 5]),
        ([5.5, 2], (1, 5), [2.75, 1]),
        ([10, 4], (1, 5), [5, 2]),
        ([11, 60], (1, 5), [1, 3]),
        ([200, 100], (1, 5), [5, 2.5]),
        ([5, 1], (1, 10), [5, 1]),
        ([0.5, 1], (1, 10), [5, 10]),
        ([5, 1], (1, 100), [5, 1]),
        ([20, 10], (-10, 10), [10, -10]),
        ([7, 7], (-5, 5), [3.5, 3.5]),
        ([-5, 5], (-5, 5), [-5, 5]),
    ],
)
def test_ratings_of_a_table_of_ones_own_keep_their_share_of_the_highest(ratings, values, expected):
    films = model(["Dune (1984)", "Up (2009)"], values=values)
    found = films.match({"title": ["Dune", "Up"], "rating": ratings}).ratings
    assert [found["101"], found["102"]] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("likes", "ratings", "liked"),
    [(4, [5, 4, 3], 2), (4, [10, 8, 7], 2), (4, [100, 80, 79], 2), (4, [4, 3.9, 3], 1), (None, [5, 3, 2.9], 2),
     (None, [10, 6, 5.9], 2), (None, [1, 0.6, 0.5], 2)],
)  # fmt: skip
def test_what_is_rated_high_enough_is_a_choice(likes, ratings, liked):
    films = ["Dune (1984)", "Up (2009)", "It (2017)"]
    fitted = model(films, values=(1, 5), likes=likes) if likes else model(films, kind="implicit")
    found = fitted.match({"title": ["Dune", "Up", "It"], "rating": ratings})
    assert sorted(found.ratings) == ["101", "102", "103"][:liked]
    assert sorted(found.seen) == ["101", "102", "103"]


def test_half_stars_of_a_table_whose_scale_is_not_known():
    films = model(["Dune (1984)", "Up (2009)"])
    assert films.match({"title": ["Dune", "Up"], "rating": [4.5, 2]}).ratings == {"101": 4.5, "102": 2}
    assert films.match({"title": ["Dune", "Up"], "rating": [9, 2]}).ratings == {"101": 4.5, "102": 1}


def test_two_rows_for_one_item_count_as_their_mean():
    books = model(["Dune", "Emma"])
    own = {"title": ["Dune", "dune (Anniversary Edition)"], "rating": [5, 3]}
    assert books.match(own).ratings == {"101": 4}


def test_models_of_likes_and_of_choices():
    rows = [("The Matrix", 1999, 5), ("Up", 2009, 3), ("Heat", 1995, 2), ("WALL-E", 2008, "")]
    matrix, up, wall_e, heat = (LABEL_OF[name] for name in (FILMS[0], FILMS[4], FILMS[6], FILMS[7]))
    stored = letterboxd(*rows).getvalue()
    own = palate.read(io.BytesIO(stored), user="me", on_bad_rows="report")
    likes = model(FILMS, values=(4, 5), likes=4).match(own)
    assert likes.ratings == [matrix]
    assert "4 or more of 5" in likes.scale
    choices = model(FILMS, kind="implicit").match(io.BytesIO(stored))
    assert choices.ratings == [matrix, up, wall_e]
    assert set(choices.seen) == {matrix, up, wall_e, heat}
    assert "3 or more of 5" in choices.scale


def test_what_was_chosen_and_not_rated_is_seen():
    own = letterboxd(("The Matrix", 1999, 5), ("Up", 2009, ""))
    found = FILM_MODEL.match(own)
    assert found.ratings == {LABEL_OF[FILMS[0]]: 5}
    assert set(found.seen) == {LABEL_OF[FILMS[0]], LABEL_OF[FILMS[4]]}
    assert "1 left out (no rating)" in found.read


def test_rows_without_any_rating_are_choices_for_a_model_of_choices():
    found = model(FILMS, kind="implicit").match(letterboxd(("Up", 2009, "")))
    assert found.ratings == [LABEL_OF["Up (2009)"]]


def test_plays_are_counts():
    songs = model(["Song", "Tune"], kind="implicit", artist=["Ann", "Bo"])
    rows = "Ann,,Song,01 Jul 2024 20:15\nAnn,,Song,02 Jul 2024 20:15\nCid,,Tune,02 Jul 2024 20:15\n"
    assert songs.match(io.BytesIO(rows.encode())).ratings == {"101": 2}


def test_a_model_of_artists_takes_plays_by_artist():
    artists = model(["Ann", "Bo", "Song"], kind="implicit")
    rows = "Ann,,Song,01 Jul 2024 20:15\nAnn,,Tune,02 Jul 2024 20:15\nBo,,Air,02 Jul 2024 20:15\n"
    found = artists.match(io.BytesIO(rows.encode()))
    assert found.ratings == {"101": 2, "102": 1}
    assert "by artist" in found.scale


# ---- sources


def test_sources_of_every_kind(tmp_path):
    text = "title,rating\nUp,5\n"
    (tmp_path / "own.csv").write_text(text)
    sources = [tmp_path / "own.csv", str(tmp_path / "own.csv"), io.BytesIO(text.encode()), io.StringIO(text),
               {"title": ["Up"], "rating": [5]}, pl.DataFrame({"title": ["Up"], "rating": [5]}),
               {"user": ["ann"], "item": ["Up"], "rating": [5]},
               palate.read({"user": ["ann"], "item": ["Up"], "rating": [5]})]  # fmt: skip
    for source in sources:
        assert FILM_MODEL.match(source).ratings == {LABEL_OF["Up (2009)"]: 5}


def test_options_of_reading_reach_every_look_at_the_file():
    text = "title|rating\nUp|5\nHeat, The|4\n"
    encoded = io.BytesIO(text.encode("utf-16-le"))
    assert FILM_MODEL.match(encoded, encoding="utf-16-le", separator="|").ratings == {LABEL_OF["Up (2009)"]: 5}
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table own (title text, rating real)")
        connection.execute("insert into own values ('Up', 4.5)")
        found = FILM_MODEL.match("select * from own", connection=connection)
    assert found.ratings == {LABEL_OF["Up (2009)"]: 4.5}


def test_what_does_not_go():
    several = {"user": ["ann", "bob"], "item": ["Up", "Up"], "rating": [5, 4]}
    with pytest.raises(DataError, match="2 users, not one person"):
        FILM_MODEL.match(several)
    with pytest.raises(DataError, match="2 users, not one person"):
        FILM_MODEL.match(palate.read(several))
    with pytest.raises(OptionError, match="kind"):
        FILM_MODEL.match(several, kind="implicit")
    with pytest.raises(DataError, match=r"Netflix.*no ratings"):
        FILM_MODEL.match(io.BytesIO(b"Title,Date\nUp,1/1/20\n"))
    with pytest.raises(DataError, match="no ratings"):
        FILM_MODEL.match(palate.read({"user": ["ann"], "item": ["Up"]}, kind="implicit"))
    with pytest.raises(DataError, match=r"no row .* has a rating: 1 rows read, 1 left out"):
        FILM_MODEL.match(letterboxd(("Up", 2009, "")))
    with pytest.raises(DataError, match="no column found for rating"):
        FILM_MODEL.match({"title": ["Up"]})
    with pytest.raises(DataError, match="no file"):
        FILM_MODEL.match("missing.csv")


def test_the_report_lists_the_first_ten_and_the_dict_all():
    titles = [f"Unknown {letter}" for letter in "abcdefghijkl"]
    found = FILM_MODEL.match({"title": [*titles, "Up"], "rating": np.ones(13)})
    assert "and 2 more" in str(found)
    assert str(found).startswith("1 of 13 items matched: 1 by title.")
    assert found.to_dict()["unmatched"] == titles
    assert found.to_dict()["n_used"] == 1


def test_an_error_names_the_file_or_says_the_source(tmp_path):
    """The whole path is told of a file; bytes and frames have no name."""
    text = "user,item,rating\na,Up (2009),5\nb,Up (2009),4\n"
    (tmp_path / "two.csv").write_text(text)
    with pytest.raises(DataError, match=r"two\.csv has 2 users, not one person"):
        FILM_MODEL.match(tmp_path / "two.csv")
    named = {"the file": io.BytesIO(text.encode()), "the DataFrame": pl.read_csv(io.StringIO(text))}
    made = palate.datasets.synthetic(5, 4, 10, seed=1)  # was never read
    for name, source in (*named.items(), ("the source", made)):
        with pytest.raises(DataError, match=f"^{name} has . users, not one person"):
            FILM_MODEL.match(source)


# ---- what is found, and what is said of it


def test_an_item_is_taken_if_it_is_the_only_one_and_not_doubtful():
    assert (Found("title", [7]).code, Found("title", [7, 8]).code, Found("", []).code) == (7, -1, -1)
    assert Found("title", [7], is_doubtful=True).code == -1


@pytest.mark.parametrize(
    ("year", "authors", "other_year", "other_authors", "told"),
    [
        (None, "", None, "", "title"), (1990, "", None, "", "title"), (None, "", None, "lee", "title"),
        (1990, "", 1990, "", "title and year"), (1990, "", 1991, "", "title, one year apart"),
        (1991, "", 1990, "", "title, one year apart"), (1990, "", 1992, "", "no"),
        (1990, "lee", 1950, "lee ann", "title and author"), (1990, "lee", 1990, "bo", "no"),
        (1990, "", None, "lee", "title, unchecked"), (None, "lee", 1990, "", "title, unchecked"),
        (1990, "lee", 1990, "", "title and year"),
    ],
)  # fmt: skip
def test_what_two_works_of_one_title_agree_in(year, authors, other_year, other_authors, told):
    work = works_of(["Up"], None)[0]
    one, other = (
        replace(work, year=when, authors=frozenset(names.split()))
        for when, names in ((year, authors), (other_year, other_authors))
    )
    assert _agree(one, other) == told


def test_rivals_for_one_item_are_doubtful():
    works = [replace(works_of(["Up"], None)[0], label=at, year=year) for at, year in enumerate((1, 2, 3, 3, 4))]
    found = [Found("title", [5]), Found("title", [5]), Found("title", [6]), Found("title", [6]), Found("label", [5])]
    assert [one.is_doubtful for one in _without_conflicts(works, found)] == [True, True, False, False, False]
    found = [Found("title", [5]), Found("title and year", [5]), Found("title", [7, 8]), Found("title", [7]), found[-1]]
    assert not any(one.is_doubtful for one in _without_conflicts(works, found))
    assert _without_conflicts(works[:1], [Found("title", [5], is_doubtful=True)])[0].is_doubtful


def test_a_report_lists_ten_of_each_kind():
    titles = tuple(f"t{at}" for at in range(1, 1012))
    found = Match(
        {"a": 5.0}, ["a", "b"], 2000, {"title": 1000, "label": 5}, titles, {"x": ("1", "2", "3", "4")}, {"y": "z"},
        "kept", "1 row was left out.",
    )  # fmt: skip
    assert str(found).splitlines() == [
        "1,005 of 2,000 items matched: 1,000 by title, 5 by label.",
        "1 of them used: kept.",
        "1 row was left out.",
        "1 by title alone or without its subtitle: 'y' as 'z'.",
        "1 ambiguous, not taken: 'x' fits '1', '2', '3'.",
        f"1,011 not in the model: {'; '.join(map(repr, titles[:10]))}; and 1,001 more.",
    ]
    assert str(Match([], [], 10, {}, titles[:10])).splitlines() == [
        "0 of 10 items matched.",
        f"10 not in the model: {'; '.join(map(repr, titles[:10]))}.",
    ]
    assert Match([], [], 11, {}, titles[:11]).to_dict() == {
        "n_items": 11, "n_matched": 0, "n_used": 0, "by": {}, "unmatched": list(titles[:11]), "ambiguous": {},
        "assumed": {}, "scale": "", "read": "",
    }  # fmt: skip
