"""Writing blocks: what is on the disk is what palate.read gives of the same rows, sorted by user."""

import itertools

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.blocks import check_same
from palate.data.blocks import sorting, spilling, steps, vocabularies
from palate.errors import DataError, LabelTypeError, OptionError

IDS = [
    st.integers(-3, 12),
    st.integers(0, 2**40),
    st.sampled_from(["ann", "bob", "cid", "ÿ", "zoë", "a b"]),
    st.integers(0, 20).map(str),
    st.sampled_from(["7", "07", "007", "10", "9"]),
    st.integers(0, 9).map(lambda n: f"{n}.0"),
]
RATINGS = st.sampled_from([1.0, 2.0, 2.5, 5.0, None, float("inf")])
COUNTS = st.sampled_from([1.0, 2.0, 7.0, 0.0, None])
EVENTS = st.sampled_from(["view", "purchase", "remove"])


@st.composite
def sources(draw):
    """A frame, the options to read it by, and where to cut it."""
    n = draw(st.integers(1, 40))

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    kind = draw(st.sampled_from(["explicit", "implicit"]))
    policies = ["last", "mean"] if kind == "explicit" else ["sum", "last", "keep"]
    options = {"kind": kind, "on_bad_rows": "report", "duplicates": draw(st.sampled_from(policies))}
    columns = {"user": column(draw(st.sampled_from(IDS))), "item": column(draw(st.sampled_from(IDS)))}
    if kind == "explicit":
        columns["rating"] = column(RATINGS)
        if draw(st.booleans()):
            columns["weight"] = column(COUNTS)
    elif draw(st.booleans()):
        columns["count"] = column(COUNTS)
    elif draw(st.booleans()):
        columns["event"] = column(EVENTS)
        options["event"] = {"view": 1, "purchase": 3, "remove": -1}
    if draw(st.booleans()):
        columns["time"] = column(st.integers(10**9, 10**9 + 9))
        if draw(st.booleans()):
            options["time"] = "time"
    return pl.DataFrame(columns), options, sorted(draw(st.lists(st.integers(0, n), max_size=3)))


def the_same(source, options, frame, folder, **changed):
    """Write the source and read the frame: both give the same, or the same error."""
    try:
        expected = palate.read(frame, **options)
    except (DataError, LabelTypeError, OptionError) as error:
        with pytest.raises(type(error)) as raised:
            palate.blocks.write(folder / "x.blocks", source, progress=False, overwrite=True, **options)
        assert not (folder / "x.blocks.part").exists()
        return str(error), str(raised.value)
    blocks = palate.blocks.write(folder / "x.blocks", source, progress=False, overwrite=True, **options)
    check_same(blocks, expected, **changed)
    assert sorted(path.name for path in folder.iterdir()) == ["x.blocks"]
    return "", ""


@settings(max_examples=60, deadline=None)
@given(sources())
def test_a_frame_is_written_as_it_is_read(small_once, made):
    frame, options, _ = made
    here, there = the_same(frame, options, frame, small_once)
    assert here == there


@settings(max_examples=40, deadline=None)
@given(sources())
def test_frames_one_after_another_are_one_source(small_once, made):
    frame, options, cuts = made
    edges = [0, *cuts, frame.height]
    parts = [frame[a:b] for a, b in itertools.pairwise(edges) if a < b]
    the_same(iter(parts), options, frame, small_once)


@pytest.fixture(scope="module")
def small_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "BUCKET_RATINGS", 3)
        patch.setattr(spilling, "MOST_LABELS", 3)
        patch.setattr(spilling, "ROWS_AT_ONCE", 5)
        patch.setattr(vocabularies, "RANGE", 2)
        patch.setattr(steps, "TYPED_AT_ONCE", 7)
        patch.setattr("os.fsync", lambda _: None)
        yield tmp_path_factory.mktemp("small")
