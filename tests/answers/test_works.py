"""What is known of an item besides its label: every part of a work, title by title and column by column."""

import polars as pl
import pytest

from palate.answers.works import Work, isbn13, works_of


def work_of(label="x", **columns):
    """The work of one item with these columns."""
    return works_of([label], pl.DataFrame({name: [value] for name, value in columns.items()}))[0]


NOTHING = {"bare": None, "whole": None, "others": (), "year": None, "is_episode": False}
TITLES = {
    "Matrix, The (1999)": {"names": "the matrix", "bare": "matrix", "year": 1999},
    "Matrix, The": {"names": "the matrix", "bare": "matrix"},
    "Heat (Director's Cut) (1995)": {"names": "heat", "year": 1995},
    "Heat [Special Edition]": {"names": "heat"},
    "Ann (Live)": {"names": "ann", "whole": "ann live", "others": ("live",)},
    "Ann (a.k.a. The Other) (Third)": {
        "names": "ann", "whole": "ann a k a the other third", "others": ("the other", "third"),
    },
    "Ann (also known as Bo)": {"names": "ann", "whole": "ann also known as bo", "others": ("bo",)},
    "Ann (Ann)": {"names": "ann", "whole": "ann ann"},
    "(2010)": {"names": "2010"},
    "(500) Days": {"names": "500 days"},
    "Up (2009)  ": {"names": "up", "year": 2009},
    "Show (2001-2005)": {"names": "show", "year": 2001},
    "Show (2001\u2013 )": {"names": "show", "year": 2001},
    "Film (1999) (2001)": {"names": "film", "year": 2001},
    "1984 (1956)": {"names": "1984", "year": 1956},
    "Dark: Season 1: Secrets": {"names": "dark season 1 secrets", "others": ("dark",), "is_episode": True},
    "Dark: Seasons": {"names": "dark seasons", "others": ("dark",)},
    "Amélie": {"names": "amelie"},
    "8½": {"names": "8 1 2"},
    "L'avventura": {"names": "l avventura", "bare": "avventura"},
    "Avventura, L'": {"names": "l avventura", "bare": "avventura"},
    "Don't": {"names": "dont"},
    "Fast & Furious": {"names": "fast and furious"},
    "A Film": {"names": "a film", "bare": "film"},
    "The": {"names": "the"},
    "Die Hard": {"names": "die hard"},
    "Welle, Die": {"names": "die welle"},
    "???": {"names": "???"},
}  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_taken_apart(title):
    expected = {**NOTHING, **TITLES[title]}
    found = work_of(title=title)
    names = frozenset([expected["names"]])
    assert found.names == names
    assert found.bare == (frozenset([expected["bare"]]) if expected["bare"] else names)
    assert found.whole == (frozenset([expected["whole"]]) if expected["whole"] else names)
    assert found.others == frozenset(expected["others"])
    assert (found.year, found.is_episode) == (expected["year"], expected["is_episode"])
    assert found.title == title


def test_a_table_tells_more():
    found = work_of(
        "7", title="Up", Year=" 2009-05-29", author="Herbert, Frank; Vonnegut Jr. & Ann Lee and Jr", ISBN="0441172717",
        isbn_13="978-0-14-143958-7", imdb_id=87182.0, title_type="tvEpisode",
    )  # fmt: skip
    assert found == Work(
        "7", "Up (2009)", frozenset(["up"]), frozenset(["up"]), frozenset(["up"]), frozenset(), 2009,
        frozenset(["herbert", "frank", "vonnegut", "lee"]), frozenset(["9780441172719", "9780141439587", "tt0087182"]),
        is_episode=False, is_other=True,
    )  # fmt: skip
    assert found.imdb == {"tt0087182"}
    assert work_of(title="Up (2009)", year=2009).title == "Up (2009)"
    assert (work_of(title="Up (1999)", year=2009).year, work_of(title="Up (1999)", year=2009).title) == (
        2009,
        "Up (1999) (2009)",
    )
    for year, expected in ((None, None), ("19", None), (1999.0, 1999), ("19990", None), ("c. 1999", None)):
        assert work_of(title="Up", year=year).year == expected
    for kind, is_other in (("movie", False), ("videoGame", True), (None, False), ("Podcast Series", True)):
        assert work_of(title="Up", type=kind).is_other is is_other
    assert work_of(title="Up").authors == frozenset() and not work_of(title="Up").is_other


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (87182, "tt0087182"),
        ("tt12345", "tt12345"),
        ("tt1234", None),
        ("12345678", "tt12345678"),
        (None, None),
        ("²", None),
    ],
)
def test_imdb_ids_of_numbers_have_seven_digits(number, expected):
    assert work_of(title="Up", imdbId=number).ids == ({expected} if expected else frozenset())
    assert work_of(" tt0000007 ", title="Up").ids == {"tt0000007"}


def test_labels_are_titles_where_there_are_none_unless_all_are_numbers():
    one, other = works_of(["Up (2009)", 7], None)
    assert (one.names, one.year, other.names) == ({"up"}, 2009, {"7"})
    one, other = works_of(["12", 7], None)
    assert (one.names, one.whole, one.title, other.names, other.title) == (set(), set(), "12", set(), "7")
    (found,) = works_of([1], pl.DataFrame({"title": [None]}, schema={"title": pl.String}))
    assert (found.names, found.title) == (set(), "1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("07149530", "9780007149537"), (7149530, None), ("080442957x", "9780804429573"), ("97804411727", None),
        ("0000000000", None), ("0441172718", None), ("9790000000000", None), ("9790000000001", "9790000000001"),
        ('="0441172717"', "9780441172719"), ("9770441172719", None),
    ],
)  # fmt: skip
def test_isbns_have_check_digits_and_may_have_lost_zeros(value, expected):
    assert isbn13(value) == expected
