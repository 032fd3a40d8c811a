"""A file is read in fast ways where these cannot misread it: the result is always that of the exact way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.reading import coding, parsing, textfiles
from palate.data.reading.coding import Labels
from palate.data.reading.duplicates import Columns, Growing
from palate.errors import PalateError

ODD = [
    *("007", "1.0", "7.0", " 5", "5 ", "+5", "-5", "-0", "00", "1e5", "1_0", "٧", "0x7", "5.", ".5", "7.50"),
    *("", " ", "NULL", "\\N", "NaN", "nan", "NA", "null", "inf", "ann", "u7", "é", '"7"', '" 7"', '"a,b"', '""', '"x'),
    *(str(coding.LARGEST - 1), str(coding.LARGEST), "4294967296", str(2**63 - 1), str(2**63), "9" * 30, "1" + "0" * 12),
    *("a label of more than twelve bytes", "another label of more than twelve bytes", "'7'", "​7", "tot al", "7\t"),
]
WHOLE = st.integers(0, 30).map(str)
WORDS = st.sampled_from(["u1", "u2", "u3", "a label of more than twelve bytes"])
RATINGS = st.sampled_from(["1", "2", "3.5", "4.0", "5"])
TIMES = st.integers(1_000_000_000, 1_000_000_040).map(str)


@st.composite
def files(draw):
    """The lines of a file whose ids are nearly all whole numbers, or nearly all words, and then something else."""
    ids = [draw(st.sampled_from([WHOLE, WHOLE, WORDS])) for _ in range(2)]
    rows = draw(st.lists(st.tuples(*ids, RATINGS, TIMES).map(list), min_size=12, max_size=60))
    if draw(st.booleans()):
        rows.sort()
    for _ in range(draw(st.integers(0, 4))):
        row, column = draw(st.integers(0, len(rows) - 1)), draw(st.sampled_from([0, 0, 1, 1, 2, 3]))
        rows[row][column] = draw(st.sampled_from(ODD))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return (end.join(",".join(row) for row in [["user", "item", "rating", "timestamp"], *rows]) + end).encode()


def read(path, options):
    """All that reading gives: columns, labels and report; or the words of an error."""
    try:
        ratings = palate.read(path, **options)
    except PalateError as error:
        return type(error), str(error)
    columns = [ratings.user_codes, ratings.item_codes, ratings.values, ratings.times, ratings.weights]
    labels = [ratings.user_vocabulary, ratings.item_vocabulary]
    return (
        [None if column is None else column.tolist() for column in columns],
        [(side.kind, side.labels.tolist()) for side in labels],
        ratings.report,
    )


def read_exactly(path, options):
    """The same, with each block parsed by the csv module and each text looked up in a dict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "parse_fast", lambda *_: None)
        patch.setattr(Labels, "codes", lambda self, series: self._coded(series.to_list()))
        return read(path, options)


@settings(max_examples=60)
@given(
    content=files(),
    block=st.sampled_from([150, 400, 1 << 24]),
    tried=st.integers(1, 3),
    options=st.sampled_from([{}, {"on_bad_rows": "report"}, {"on_bad_rows": "report", "time": "timestamp"}]),
)
def test_the_fast_ways_read_what_the_exact_way_reads(tmp_path_factory, content, block, tried, options):
    path = tmp_path_factory.getbasetemp() / "nearly.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textfiles, "BLOCK", block)
        patch.setattr(coding, "N_TRIED", tried)
        assert read(path, options) == read_exactly(path, options)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_id_late_in_a_file_is_read_as_it_is_anywhere(tmp_path, monkeypatch, odd):
    path = tmp_path / "late.csv"
    rows = [f"{number % 7},{number % 11},{1 + number % 5},{1_000_000_000 + number}\n" for number in range(77)]
    rows[70] = rows[70].replace("0,", f"{odd},", 1)
    path.write_text("user,item,rating,timestamp\n" + "".join(rows), encoding="utf-8")
    monkeypatch.setattr(textfiles, "BLOCK", 300)
    assert read(path, {"on_bad_rows": "report"}) == read_exactly(path, {"on_bad_rows": "report"})


def test_columns_that_grow_hold_all_rows():
    rows = Growing()
    parts = [np.arange(n, dtype=np.int32) for n in (3, 0, 50, 1, 7)]
    for part in parts:
        rows.add(Columns(part, part + 1, part.astype(np.float32), None, None))
    columns, expected = rows.columns(), np.concatenate(parts)
    assert columns.users.tolist() == expected.tolist() == columns.values.tolist()
    assert columns.items.tolist() == (expected + 1).tolist()
    assert columns.times is None
