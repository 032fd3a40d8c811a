"""One person's file: refused by name, or read with user="me"; 0 is no rating; what has users is read as ever."""

import gzip
import io
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.reading.exports import EXPORTS, export_of
from palate.data.reading.frames import Table
from palate.data.reading.personal import (
    Person,
    _complete_times,
    _export_without_users,
    _labels,
    _may_be_column,
    _own_item,
    _without,
    has_users,
    person_of,
    rows_of_person,
)
from palate.errors import DataError

GOODREADS = '''Book Id,Title,Author,ISBN,ISBN13,My Rating,Year Published,Date Read,Date Added,Exclusive Shelf,My Review
1,"Dune (Dune, #1)",Frank Herbert,"=""0441172717""","=""9780441172719""",5,1990,,2024/02/01,read,"a
b"
2,Emma,Jane Austen,"=""""","=""""",0,,,2024/02/02,to-read,
3,Persuasion,Jane Austen,="0141439688",="9780141439686",3,2003,2024/01/01,2024/01/01,read,
4,Mansfield Park,Jane Austen,,,0,2003,2024/01/01,2024/01/01,read,
'''  # with a line end in a review
STORYGRAPH = """Title,Authors,Contributors,ISBN/UID,Format,Read Status,Date Added,Last Date Read,Star Rating,Tags
Dune,Frank Herbert,,9780441172719,paperback,read,2024-01-01,2024-01-01,4.25,
Emma,Jane Austen,,,digital,to-read,2024-01-02,,,
Silk,A. Nother,,,digital,read,2024-01-02,,3.5,
"""
LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2024-01-01,It,1990,https://boxd.it/a,3.5
2024-01-02,It,2017,https://boxd.it/b,0.5
2024-01-03,Unrated,2020,https://boxd.it/c,
"""
IMDB = """Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,Year,Genres
tt0087182,7,2024-01-01,Dune,Dune,https://www.imdb.com/title/tt0087182,Movie,1984,Drama
tt1160419,9,2024-01-02,Dune: Part One,Dune: Part One,https://www.imdb.com/title/tt1160419,Movie,2021,Drama
"""
ANIME = """<?xml version="1.0" encoding="UTF-8" ?>
<!-- made for a test -->
<myanimelist><myinfo><user_name>x</user_name></myinfo>
<anime><series_animedb_id>20</series_animedb_id><series_title><![CDATA[Naruto & co]]></series_title>
<my_score>8</my_score><my_finish_date>0000-00-00</my_finish_date><my_status>Completed</my_status></anime>
<anime><series_animedb_id>21</series_animedb_id><series_title>Pirates</series_title>
<my_score>0</my_score><my_finish_date>0000-00-00</my_finish_date><my_status>Plan to Watch</my_status></anime>
<anime><series_animedb_id>22</series_animedb_id><series_title>Whales</series_title>
<my_score>0</my_score><my_finish_date>2024-01-01</my_finish_date><my_status>Completed</my_status></anime>
</myanimelist>"""
SPOTIFY = [
    {"endTime": "2024-01-01 10:00", "artistName": "Ann", "trackName": "Song", "msPlayed": 200_000},
    {"endTime": "2024-01-01 11:00", "artistName": "Ann", "trackName": "Song", "msPlayed": 100_000},
    {"endTime": "2024-01-02 10:00", "artistName": "Ann", "trackName": "Skipped", "msPlayed": 29_999},
]
EXTENDED = [
    {
        "ts": "2024-01-01T10:00:00Z",
        "username": "ann",
        "ms_played": 60_000,
        "master_metadata_track_name": name,
        "master_metadata_album_artist_name": name and "Ann",
        "spotify_track_uri": name and f"spotify:track:{name}",
    }
    for name in ("song", None)
]
NETFLIX = 'Title,Date\n"Dark: Season 1: Secrets","10/21/20"\n"Up","10/22/20"\n"1984","10/23/20"\n'
LASTFM = "Ann,Album,Song,31 Jul 2024 20:15\nAnn,Album,Song,1 Aug 2024 20:15\nBo,,Tune,01 Aug 2024 20:20\n"
LASTFM_NAMED = "uts,utc_time,artist,album,track\n1722456900,x,Ann,Album,Song\n1722456901,x,Bo,,Tune\n"

RATED = [  # file, ending, {item: rating}, what is left out
    ("a Goodreads export", GOODREADS, "csv", {"1": 5, "3": 3}, 2),
    ("a StoryGraph export", STORYGRAPH, "csv", {"9780441172719": 4.25, "A. Nother - Silk": 3.5}, 1),
    ("a Letterboxd export", LETTERBOXD, "csv", {"It (1990)": 3.5, "It (2017)": 0.5}, 1),
    ("an IMDb export", IMDB, "csv", {"tt0087182": 7, "tt1160419": 9}, 0),
    ("a MyAnimeList export", ANIME, "xml", {"20": 8}, 2),
]
CHOSEN = [  # file, ending, {item: count}, what is left out
    ("a Spotify streaming history", json.dumps(SPOTIFY), "json", {"Ann - Song": 2}, 1),
    ("a Spotify streaming history", json.dumps(EXTENDED), "json", {"spotify:track:song": 1}, 1),
    ("a Netflix viewing history", NETFLIX, "csv", {"Dark: Season 1: Secrets": 1, "Up": 1, "1984": 1}, 0),
    ("a Last.fm export", LASTFM, "csv", {"Ann - Song": 2, "Bo - Tune": 1}, 0),
    ("a Last.fm export", LASTFM_NAMED, "csv", {"Ann - Song": 1, "Bo - Tune": 1}, 0),
    ("a Goodreads export", GOODREADS, "csv", {"1": 1, "3": 1, "4": 1}, 1),
    ("a MyAnimeList export", ANIME, "xml", {"20": 1, "22": 1}, 1),
    ("a Letterboxd export", LETTERBOXD, "csv", {"It (1990)": 1, "It (2017)": 1, "Unrated (2020)": 1}, 0),
]


def read(text, **options):
    return palate.read(io.BytesIO(text.encode()), **options)


def by_item(ratings):
    assert ratings.classes["user"] == ["me"]
    numbers = ratings.values if not ratings.is_implicit else ratings.weights
    labels = ratings.item_vocabulary.decode(ratings.item_codes).tolist()
    return dict(zip(labels, np.ones(len(ratings)) if numbers is None else numbers.tolist(), strict=True))


@pytest.fixture
def stored(tmp_path):
    def store(text, ending, packed=False):
        path = tmp_path / f"own.{ending}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        return path

    return store


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "text", "ending", "expected", "n_left_out"), RATED)
def test_rated_exports_with_user_me(stored, name, text, ending, expected, n_left_out, packed):
    ratings = palate.read(stored(text, ending, packed), user="me")
    assert by_item(ratings) == expected
    assert ratings.report.how["file"] == name
    assert ratings.report.how["person"] == "me"
    assert ratings.report.left_out == ({"no rating": n_left_out} if n_left_out else {})
    assert ratings.report.rows_read == len(expected) + n_left_out
    assert ratings.item_table.height == len(expected)
    assert not ratings.report.table_notes


@pytest.mark.parametrize(("name", "text", "ending", "expected", "n_left_out"), CHOSEN)
def test_exports_as_choices(stored, name, text, ending, expected, n_left_out):
    ratings = palate.read(stored(text, ending), user="me", kind="implicit")
    assert by_item(ratings) == expected
    assert ratings.report.how["file"] == name
    assert sum(ratings.report.left_out.values()) == n_left_out


@pytest.mark.parametrize("options", [{}, {"kind": "implicit"}, {"user": ""}])
@pytest.mark.parametrize(("name", "text", "ending"), [case[:3] for case in RATED + CHOSEN])
def test_without_a_name_an_export_is_refused_in_words(stored, name, text, ending, options):
    with pytest.raises(DataError) as refused:
        palate.read(stored(text, ending), **options)
    for word in (name, "one person", 'user="me"', "--ratings-of"):
        assert word in str(refused.value)


@pytest.mark.parametrize(("name", "text", "ending"), [case[:3] for case in CHOSEN[:5]])
def test_an_export_without_ratings_says_so(stored, name, text, ending):
    with pytest.raises(DataError, match=r'no ratings.*kind="implicit"'):
        palate.read(stored(text, ending), user="me")


def test_the_table_of_items_has_titles_years_authors_and_isbns():
    table = read(GOODREADS, user="me").item_table
    assert table["title"].to_list() == ["Dune (Dune, #1)", "Persuasion"]
    assert table["year"].to_list() == [1990, 2003]
    assert table["author"].to_list() == ["Frank Herbert", "Jane Austen"]
    assert table["isbn13"].to_list() == ["9780441172719", "9780141439686"]
    assert table["isbn"].to_list() == ["0441172717", "0141439688"]
    own = read(GOODREADS, user="me", items={"Book Id": ["1", "3"], "shelf": ["x", "y"]}).item_table
    assert own.columns == ["shelf"]


def test_frames_keep_whole_numbers_as_ids_and_years():
    table = pl.read_csv(io.BytesIO(GOODREADS.encode()))
    assert read(GOODREADS, user="me").classes["item"] == ["1", "3"]
    assert palate.read(table, user="me").classes["item"] == [1, 3]
    films = pl.DataFrame(
        {"Name": ["It", "It"], "Year": [1990.0, 2017.0], "Letterboxd URI": ["a", "b"], "Rating": [3.5, 0.5]}
    )
    assert by_item(palate.read(films, user="me")) == RATED[2][3]
    assert by_item(palate.read(films.to_pandas(), user="me")) == RATED[2][3]


def test_a_track_that_is_being_played_has_no_date():
    ratings = read(f"Cid,,Now,\n{LASTFM}", user="me", kind="implicit")
    assert by_item(ratings) == {"Ann - Song": 2, "Bo - Tune": 1, "Cid - Now": 1}


def test_profiles_of_a_household_are_users():
    text = "Profile Name,Start Time,Title\nAnn,2024-01-01 10:00:00,Up\nBob,2024-01-01 10:00:00,Up\n"
    assert read(text, kind="implicit", item="Title").n_users == 2
    with pytest.raises(DataError, match="no column 'me'"):
        read(text, kind="implicit", item="Title", user="me")


def test_two_accounts_in_one_history_are_not_one_person(stored):
    both = json.dumps([EXTENDED[0], {**EXTENDED[0], "username": "bob"}])
    ratings = palate.read(stored(both, "json"), kind="implicit", item="spotify_track_uri")
    assert ratings.classes["user"] == ["ann", "bob"]


def test_times_are_taken_where_every_row_has_one():
    assert read(IMDB, user="me").times.tolist() == [1704067200, 1704153600]
    assert read(IMDB, user="me", time=False).times is None
    one_blank = IMDB.replace("tt1160419,9,2024-01-02", "tt1160419,9,")
    assert read(one_blank, user="me").times is None
    assert "blank" in read(one_blank, user="me").report.how["times"]


def test_options_name_other_columns():
    assert by_item(read(IMDB, user="me", item="Title", rating="Year")) == {"Dune": 1984, "Dune: Part One": 2021}
    counts = read(GOODREADS.replace("Year Published", "Read Count"), user="me", kind="implicit", rating="Read Count")
    assert by_item(counts) == {"1": 1990, "3": 2003, "4": 2003}
    with pytest.raises(DataError, match="no column 'Stars'"):
        read(IMDB, user="me", rating="Stars")


def test_a_rating_that_is_none_is_a_bad_row():
    bad = IMDB.replace("tt1160419,9,", "tt1160419,ten out of ten,")
    with pytest.raises(DataError, match="not a number"):
        read(bad, user="me")
    assert by_item(read(bad, user="me", on_bad_rows="report")) == {"tt0087182": 7}


def test_other_separators_and_column_cases_are_the_same_export():
    text = LETTERBOXD.replace(",", ";").replace("Letterboxd URI", "letterboxd_uri")
    assert by_item(read(text, user="me")) == RATED[2][3]


# ---- files that have users


def test_a_column_that_is_called_so_wins():
    ratings = read("me,item,rating\nann,tea,5\nbob,tea,4\n", user="me")
    assert ratings.classes["user"] == ["ann", "bob"]
    assert read(LETTERBOXD.replace("Date,", "me,"), user="me", item="Name", on_bad_rows="report").n_users == 2


def test_exports_put_together_with_a_column_of_users_are_read_as_ever():
    lines = LETTERBOXD.splitlines()[:3]
    text = "\n".join([f"user,{lines[0]}", f"ann,{lines[1]}", f"bob,{lines[2]}"])
    assert read(text, item="Name").classes["user"] == ["ann", "bob"]
    with pytest.raises(DataError, match="no column 'me'"):
        read(text, user="me", item="Name")


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_an_export_is_signs_its_columns_in_any_order(export):
    for known in export.signs:
        assert export_of(known[::-1]) is export
        assert export_of([name.upper() for name in known]) is export
        assert export_of(known[1:]) is not export or set(known[1:]) in map(set, export.signs)


@given(st.lists(st.sampled_from(["user", "item", "rating", "movie_id", "timestamp", "weight", "title", "year"])))
def test_columns_of_ratings_are_no_export(names):
    assert export_of(names) is None


# ---- tables of a person's own


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title,rating\nDune,5\nUp,4\n", {"Dune": 5, "Up": 4}),
        ("title,year,rating\nIt,1990,5\nIt,2017,4\n", {"It (1990)": 5, "It (2017)": 4}),
        ("movieId,rating\n1,5\n2,4\n", {"1": 5, "2": 4}),
        ("rating\ttitle\n5\tDune\n4\tUp\n", {"Dune": 5, "Up": 4}),
        ("Title,My Rating\nDune,5\nUp,4\n", {"Dune": 5, "Up": 4}),
        ("Dune,5\nUp,4\n", {"Dune": 5, "Up": 4}),
        ("Dune,5,2024-01-01\nUp,4,2024-01-02\n", {"Dune": 5, "Up": 4}),
    ],
)
def test_a_table_without_users_is_that_persons(text, expected):
    ratings = read(text, user="me")
    assert by_item(ratings) == expected
    assert ratings.report.how["person"] == "me"
    assert "user" not in ratings.report.columns


def test_frames_and_mappings_too():
    assert by_item(palate.read({"title": ["Dune", "Up"], "rating": [5, 4]}, user="me")) == {"Dune": 5, "Up": 4}
    assert by_item(palate.read({"movieId": [1, 2], "rating": [5, 4]}, user="me")) == {1: 5, 2: 4}


def test_without_a_name_the_error_says_how():
    with pytest.raises(DataError, match=r'one person\'s, pass user="me"'):
        read("movieId,rating\n1,5\n2,4\n")


@pytest.mark.parametrize("typed", ["whoo", "Who", "hwo"])
def test_a_misspelt_column_is_no_person(typed):
    with pytest.raises(DataError):
        read("who,what,how_much\nann,tea,5\nbob,jam,4\n", user=typed, item="what", rating="how_much")


@pytest.mark.parametrize("typed", ["user", "userId", "visitor_id", "Reviewer ID", "customerID"])
@pytest.mark.parametrize("kind", ["explicit", "implicit"])
def test_a_column_that_is_not_there_is_no_person(typed, kind):
    with pytest.raises(DataError, match="no column"):
        read("u1,i1,5\nu2,i2,4\n", user=typed, kind=kind)
    with pytest.raises(DataError, match="no column"):
        read("who,item,rating\nann,tea,5\nbob,jam,4\n", user=typed, kind=kind)


def test_choices_without_names_of_columns_are_asked_about():
    with pytest.raises(DataError, match="item=0"):
        read("u1,i1\nu1,i2\n", user="me", kind="implicit")
    assert by_item(read("u1,i1\nu1,i2\n", user="me", kind="implicit", item=1)) == {"i1": 1, "i2": 1}


@pytest.mark.parametrize("name", ["me", "Ann", "rick", "mein", "Zoë", "David", "INGRID"])
def test_any_other_name_is_one(name):
    assert read("name,time,rating,track\nDune,2024-01-01,5,a\nUp,2024-01-02,4,b\n", user=name).classes["user"] == [name]


def test_an_item_with_two_ratings_is_asked_about():
    text = "movieId,rating\n1,5\n1,4\n"
    with pytest.raises(DataError, match="item '1' has 2 ratings"):
        read(text, user="me")
    assert by_item(read(text, user="me", duplicates="last")) == {"1": 4}
    assert by_item(read(text, user="me", kind="implicit", rating=False)) == {"1": 2}


# ---- hostile files


def test_xml_that_is_only_called_gz(tmp_path):
    (tmp_path / "animelist.gz").write_bytes(gzip.compress(ANIME.encode()))
    assert by_item(palate.read(tmp_path / "animelist.gz", user="me")) == {"20": 8}
    (tmp_path / "broken.xml.gz").write_bytes(gzip.compress(ANIME.encode())[:-20])
    with pytest.raises(DataError, match="cannot be read to its end"):
        palate.read(tmp_path / "broken.xml.gz", user="me")
    (tmp_path / "ratings.gz").write_bytes(gzip.compress(b"user,item,rating\n<b>,[x],5\n"))
    assert palate.read(tmp_path / "ratings.gz").classes == {"user": ["<b>"], "item": ["[x]"]}


@pytest.mark.parametrize(
    "text",
    [
        "<?xml version='1.0'?><myanimelist>",
        "<html><body>no</body></html>",
        "<myanimelist></myanimelist>",
        '<!DOCTYPE a [<!ENTITY b "c">]><myanimelist><anime><my_score>&b;</my_score></anime></myanimelist>',
        "<",
    ],
)
def test_other_xml_is_refused_in_words(stored, text):
    with pytest.raises(DataError):
        palate.read(stored(text, "xml"), user="me")


@pytest.mark.parametrize("text", ["[", "[]", "[1, 2]", "[{}]", '[{"a": 1}]', "[[[[", '["endTime"]'])
def test_other_json_arrays_are_left_to_the_other_readers(stored, text):
    with pytest.raises(DataError):
        palate.read(stored(text, "json"), user="me")


# ---- which column has the items of a person's own table


def own_table(names, *, named=True):
    return Table("it", names, pl.Series, pl.Series, named)


@pytest.mark.parametrize("kind", ["explicit", "implicit"])
def test_the_items_of_a_table_without_names_are_the_only_column(kind):
    assert _own_item(own_table(["column_1"], named=False), kind) == 0
    if kind == "explicit":
        assert _own_item(own_table(["column_1", "column_2"], named=False), kind) == 0
    else:
        with pytest.raises(DataError, match=r"it has no column names\. .* item=0, for instance"):
            _own_item(own_table(["column_1", "column_2"], named=False), kind)


@pytest.mark.parametrize(
    ("names", "item"),
    [(["item", "title"], "item"), (["title", "Item"], "Item"), (["rating", "Title"], "Title"), (["name"], "name"),
     (["rating", "year"], None), ([], None)],
)  # fmt: skip
def test_the_items_of_a_named_table_are_ids_before_titles(names, item):
    assert _own_item(own_table(names), "explicit") == item


# ---- one decision at a time


def rows(names, *values, named=True):
    """A Table of these columns."""
    columns = [pl.Series(name, column) for name, column in zip(names, values, strict=True)]
    return Table("it", names, columns.__getitem__, columns.__getitem__, named, height=len(values[0]))


@pytest.mark.parametrize(
    ("typed", "names", "expected"),
    [
        ("user", ["who"], True), ("my_id", ["who"], True), ("aId", ["who"], True), ("ID", ["who"], False),
        ("Al", ["al", "x"], True), ("al", ["all", "x"], False), ("ale", ["all", "x"], False), ("alel", ["alle"], True),
        ("titel", ["x", "title"], True), ("tilte", ["title"], True), ("abc", ["cab"], True), ("abc", ["abd"], False),
        ("abcd", ["abce"], True), ("abcdefgh", ["abcdefxy"], True), ("abcdefgh", ["abcdexyz"], False),
        ("Zoë", ["zoe"], True), ("me", [], False),
    ],
)  # fmt: skip
def test_a_name_a_letter_or_two_from_a_columns_is_that_column(typed, names, expected):
    """Of names of three letters or more a quarter may differ, or their order; shorter ones are taken as they are."""
    assert _may_be_column(typed, names) is expected


def test_who_is_a_person_and_who_a_column():
    def person(user, names=("who", "what"), kind="implicit"):
        given = dict.fromkeys(("user", "item", "rating", "time", "weight")) | {"user": user}
        found = person_of(rows(list(names), *([["x"]] * len(names))), given, kind)
        return None if found is None else found.name

    assert person("ann") == "ann"
    for column in (0, True, "who", "what", "whoo", None, False, "", "  ", ["ann"], 1.5):
        assert person(column) is None
    assert person("ann", ("user", "what")) is None and person("ann", ("author", "what")) == "ann"
    assert person("ann", ("title", "date")) == "ann"
    for nobody in (None, "", " ", 1.5):
        with pytest.raises(DataError, match='name that person: user="me"'):
            person(nobody, ("title", "date"))
    with pytest.raises(DataError, match='pass kind="implicit"'):
        person("ann", ("title", "date"), "explicit")


def test_an_export_with_one_account_is_one_persons():
    names = ["ts", "master_metadata_track_name", "master_metadata_album_artist_name", "username"]
    for accounts, expected in ((["ann", "ann"], True), (["ann", "bob"], False), ([], True)):
        made = rows(names, *([["x"] * len(accounts)] * 3), accounts)
        assert (_export_without_users(made) is not None) is expected
    assert _export_without_users(rows([*names[:3], "user"], *[["x"]] * 4)) is None
    assert _export_without_users(rows([*names, "user"], *[["x"]] * 5)) is None
    assert _export_without_users(rows(["Title", "Date"], ["x"], ["y"])).name == "a Netflix viewing history"
    assert _export_without_users(rows(["Title", "Day"], ["x"], ["y"])) is None


def test_items_are_ids_or_titles_with_what_tells_them_apart():
    def labels(**columns):
        none = dict.fromkeys(("item", "title", "year", "author"))
        return _labels(none | {name: pl.Series(values) for name, values in columns.items()}).to_list()

    titles = {"title": [" Up ", "It", None]}
    assert labels(item=[3, 1, 2], **titles) == [3, 1, 2]
    assert labels(item=[3, None, 2], **titles) == ["3", "It", "2"]
    assert labels(item=["a", " ", None], **titles) == ["a", "It", None]
    assert labels(item=["a", " ", "b "]) == ["a", None, "b"]
    assert labels(**titles) == ["Up", "It", None]
    assert labels(**titles, year=["2009", "", "1990"]) == ["Up (2009)", "It", None]
    assert labels(**titles, year=[2009.0, None, 1990.0], author=["x", "y", "z"]) == ["Up (2009)", "It", None]
    assert labels(**titles, author=["Ann", None, "Bob"]) == ["Ann - Up", "It", None]
    assert labels(item=[None, "a", "b"], **titles, author=["Ann", None, "Bob"]) == ["Ann - Up", "a", "b"]


def test_rows_are_left_out_for_the_first_reason_that_holds():
    first, second = pl.Series([True, True, False, False]), pl.Series([True, False, True, False])
    kept, left_out = _without([(first, "a"), (second, "b"), (first, "c")], 4)
    assert (kept.to_list(), left_out) == ([False, False, False, True], {"a": 2, "b": 1})
    kept, left_out = _without([], 2)
    assert (kept.to_list(), left_out) == ([True, True], {})


def test_a_play_of_half_a_minute_is_a_choice():
    history = pl.DataFrame(
        {"artistName": ["Ann"] * 4, "trackName": [*"abcd"], "msPlayed": [30_000, 29_999, None, 30_001]}
    )
    ratings = palate.read(history, user="me", kind="implicit")
    assert by_item(ratings) == {"Ann - a": 1, "Ann - d": 1}
    assert ratings.report.left_out == {"played for less than 30 seconds": 2}


def test_times_of_the_rows_that_are_kept_are_taken_if_all_can_be_read():
    kept = pl.Series([True, False, True])
    assert _complete_times(pl.Series(["2020-01-01", None, "1970-01-02"]), kept).to_list() == [1577836800, 86400]
    for odd in ("", None, "0000-00-00", "soon"):
        assert _complete_times(pl.Series(["2020-01-01", "2020-01-01", odd]), kept) is None
    assert _complete_times(pl.Series(["1/2/2020"] * 3), kept) is None
    assert _complete_times(None, kept) is None


def test_a_table_of_ones_own_gets_a_column_of_users_and_one_of_titles_with_years():
    given = dict.fromkeys(("user", "item", "rating", "time", "weight"))

    def own(made, kind="explicit", **options):
        found = rows_of_person(made, Person("me", None), given | options, kind)
        values = [
            (found.table.column(at).to_list(), found.table.label(at).to_list()) for at in range(len(found.table.names))
        ]
        assert all(column == label for column, label in values)
        return found, dict(zip(found.table.names, (column for column, _ in values), strict=True))

    films = rows(["title", "year", "rating"], ["It", "It"], [1990, 2017], [5, 4])
    found, columns = own(films)
    assert columns["user"] == ["me", "me"] and columns["title and year"] == ["It (1990)", "It (2017)"]
    assert (found.given["user"], found.given["item"], found.given["rating"]) == (3, 4, None)
    assert found.items.to_dicts() == [
        {"item": "It (1990)", "title": "It", "year": 1990}, {"item": "It (2017)", "title": "It", "year": 2017}
    ]  # fmt: skip
    found, columns = own(films, item="title")
    assert list(columns) == ["title", "year", "rating", "user"] and found.given["item"] == "title"
    assert found.items.height == 1
    found, columns = own(rows(["title", "rating"], ["It", "Up"], [5, 4]))
    assert list(columns) == ["title", "rating", "user"] and (found.given["user"], found.given["item"]) == (2, "title")
    for values, kind, options, rating in (
        ((["It"], [5]), "explicit", {}, 1), ((["It"],), "explicit", {}, None), ((["It"],), "implicit", {}, None),
        ((["It"], [5]), "explicit", {"item": 1}, None), ((["It"], [5]), "implicit", {"item": 0}, None),
        ((["It"], [5], [4]), "explicit", {"rating": 2}, 2),
    ):  # fmt: skip
        names = [f"column_{at + 1}" for at in range(len(values))]
        found, columns = own(rows(names, *values, named=False), kind, **options)
        assert found.given["rating"] == rating and list(columns) == [*names, "user"]


def test_whether_a_file_has_users():
    def has(text, **options):
        return has_users(io.BytesIO(text.encode()), options)

    assert has("user,item,rating\na,b,1\n") and has_users({"user": ["a"], "item": ["b"]}, {})
    assert not has("title,rating\na,1\n") and not has("a,b,1\nc,d,2\n")
    assert not has("user,item,rating\na,b,1\n", header=False)
    assert has("user;x\na;1\n", separator=";") and not has("user;x\na;1\n", separator=",")
    assert not has(NETFLIX) and not has(LASTFM) and not has(f"Author,{GOODREADS}".replace("\n", "\nx,", 1))
    assert has(LETTERBOXD.replace("Date,", "user,"))


def test_a_column_of_an_export_is_no_person():
    given = dict.fromkeys(("user", "item", "rating", "time", "weight"))
    for column in ("Title", 0, 1):
        assert person_of(rows(["Title", "Date"], ["x"], ["y"]), given | {"user": column}, "implicit") is None


def test_items_have_a_table_where_anything_is_known_of_them():
    given = dict.fromkeys(("user", "item", "rating", "time", "weight"))
    for name, is_known in (("title", True), ("item", False)):
        found = rows_of_person(rows([name, "rating"], ["It"], [5]), Person("me", None), given, "explicit")
        assert (found.items is not None) is is_known
    assert read(IMDB, user="me").report.columns == {"item": "Const", "rating": "Your Rating", "time": "Date Rated"}
