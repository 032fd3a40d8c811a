"""Features: each row's features are exactly those of its values, and every column becomes what it is."""

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.features import Features
from palate.data.features.fields import MAX_DEVIATION
from palate.errors import DataError, OptionError

few = settings(max_examples=60, deadline=None)
words = st.text("abcdeé0 .-", min_size=1, max_size=3).map(str.strip).filter(bool)
amounts = st.floats(-1e6, 1e6, width=32) | st.none()
row_of = st.tuples(words | st.none(), st.lists(words, max_size=4), amounts)
rows_of = st.lists(row_of, min_size=1, max_size=30)
many_rows_of = st.lists(row_of, min_size=30, max_size=90)
DECLARED = {"categorical": ["one"], "multivalued": ["some"], "continuous": ["much"]}


def frame_of(rows):
    schema = {"one": pl.String, "some": pl.List(pl.String), "much": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def learned(frame, **options):
    """As Features.learned, without the columns that nothing can be learned from."""
    declared = {kind: list(names) for kind, names in DECLARED.items()}
    every = {name for names in DECLARED.values() for name in names}
    while True:
        excluded = sorted(every - {name for names in declared.values() for name in names})
        try:
            return Features.learned(frame, **declared, exclude=excluded, **options)
        except DataError as error:
            name = str(error).split("'")[1]
            declared = {kind: [other for other in names if other != name] for kind, names in declared.items()}


def what(features):
    """{field: what it became}, in a word."""
    return {name: text.split(":")[0].split(",")[0] for name, text in features.report.items()}


def expected(features, rows):
    """The dense matrix, from the definition: written value by value."""
    dense = np.zeros((len(rows), features.n_features))
    at = {name: column for column, name in enumerate(features.names)}
    there = np.array([much for _, _, much in rows if much is not None])
    knots = [column for column, name in enumerate(features.names) if name.startswith("much near")]
    heights = [float(features.names[column].split()[-1]) for column in knots]
    for row, (one, some, much) in enumerate(rows):
        if f"one={one}" in at:
            dense[row, at[f"one={one}"]] = 1
        for value in set(some):
            if f"some={value}" in at:
                dense[row, at[f"some={value}"]] = 1 / np.sqrt(len(set(some)))
        if much is None and "much missing" in at:
            dense[row, at["much missing"]] = 1
        if much is not None and "much" in at:
            dense[row, at["much"]] = (much - there.mean()) / there.std()
        if much is not None and knots:
            dense[row, knots] = hats(much, heights)
    return dense


def hats(value, knots):
    """The shares of the two knots around a value, by how near it is to each."""
    shares = [0.0] * len(knots)
    value = min(max(value, knots[0]), knots[-1])
    right = next(at for at, knot in enumerate(knots) if knot >= value)
    left = max(right - 1, 0)
    shares[left] = (knots[right] - value) / (knots[right] - knots[left]) if left < right else 0.0
    shares[right] = 1 - shares[left]
    return shares


# ---- properties


@few
@given(rows_of | many_rows_of)
def test_each_row_has_exactly_the_features_of_its_values(rows):
    features = learned(frame_of(rows))
    design = features.encode(frame_of(rows))
    assert design.shape == (len(rows), len(features.names))
    np.testing.assert_allclose(design.to_dense(), expected(features, rows), atol=1e-3)
    assert (design.indptr.dtype, design.indices.dtype, design.values.dtype) == (np.int64, np.int32, np.float32)
    assert all((np.diff(part) > 0).all() for part in np.split(design.indices, design.indptr[1:-1]))


@few
@given(rows_of | many_rows_of)
def test_a_class_fills_one_place_and_an_amount_is_standardised(rows):
    features = learned(frame_of(rows))
    dense = features.encode(frame_of(rows)).to_dense().astype(float)
    names = features.group_names
    blocks = {name: dense[:, features.groups == number] for number, name in enumerate(names)}
    assert sum(block.shape[1] for block in blocks.values()) == features.n_features
    assert all(name.startswith(names[group]) for name, group in zip(features.names, features.groups, strict=True))
    if "one" in blocks:
        assert set(blocks["one"].sum(axis=1)) <= {0.0, 1.0}
    if "much" in blocks:
        there = np.array([much is not None for _, _, much in rows])
        value, curve = blocks["much"][:, 0], blocks["much"][:, 1:]
        np.testing.assert_allclose(value.mean(), 0, atol=1e-5)
        np.testing.assert_allclose((value[there] ** 2).mean(), 1, atol=1e-4)
        assert not value[~there].any()
        if curve.shape[1]:
            np.testing.assert_allclose(curve.sum(axis=1)[there], curve.shape[1] > 1, atol=1e-6)


@few
@given(rows_of)
def test_a_class_has_a_feature_if_it_is_on_two_rows(rows):
    features = learned(frame_of(rows))
    ones = [one for one, _, _ in rows]
    for one in set(ones) - {None}:
        enough = ones.count(one) >= 2 and ones.count(one) < len(rows)
        assert (one in features.classes.get("one", [])) == enough or ones.count(one) == len(rows)
    for value in {value for _, some, _ in rows for value in some}:
        n = sum(value in some for _, some, _ in rows)
        assert (value in features.classes.get("some", [])) == (n >= 2) or "some" not in features.classes


@few
@given(rows_of, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(rows, random):
    order = random.sample(range(len(rows)), len(rows))
    frame = frame_of(rows)
    features, shuffled = learned(frame), learned(frame[order])
    assert features.names == shuffled.names
    dense = features.encode(frame).to_dense()
    np.testing.assert_array_equal(features.encode(frame[order]).to_dense(), dense[order])
    np.testing.assert_allclose(shuffled.encode(frame).to_dense(), dense, atol=1e-4)


@few
@given(rows_of, rows_of)
def test_values_without_a_feature_are_counted(rows, others):
    features = learned(frame_of(rows))
    design = features.encode(frame_of(others))
    ones, somes = (set(features.classes.get(name, [])) for name in ("one", "some"))
    unknown = {
        "one": sum(one is not None and one not in ones for one, _, _ in others) * bool(ones),
        "some": sum(len(set(some) - somes) for _, some, _ in others) * bool(somes),
    }
    assert design.unknown == {name: n for name, n in unknown.items() if n}
    block = [column for column, name in enumerate(features.names) if name.startswith("some=")]
    norms = np.linalg.norm(design.to_dense()[:, block], axis=1)
    shares = [np.sqrt(len(set(some) & somes) / max(len(set(some)), 1)) for _, some, _ in others]
    np.testing.assert_allclose(norms, shares, atol=1e-6)


@few
@given(rows_of)
def test_what_is_decoded_is_encoded_again(rows):
    features = learned(frame_of(rows), min_rows=1)
    design = features.encode(frame_of(rows))
    decoded = []
    for row in range(len(rows)):
        here = slice(design.indptr[row], design.indptr[row + 1])
        names = [features.names[at] for at in design.indices[here]]
        ones = [name.partition("=")[2] for name in names if name.startswith("one=")]
        some = [name.partition("=")[2] for name in names if name.startswith("some=")]
        decoded.append((ones[0] if ones else None, some, rows[row][2]))
    again = features.encode(frame_of(decoded))
    assert again.unknown == {}
    np.testing.assert_array_equal(again.to_dense(), design.to_dense())


@few
@given(rows_of)
def test_the_stored_form_is_json_and_comes_back(rows):
    features = learned(frame_of(rows))
    again = Features.from_dict(json.loads(json.dumps(features.to_dict(), allow_nan=False)))
    assert again == features
    assert str(again) == str(features)
    np.testing.assert_array_equal(again.encode(frame_of(rows)).to_dense(), features.encode(frame_of(rows)).to_dense())


@few
@given(st.lists(st.lists(words, max_size=4), min_size=1, max_size=20))
def test_lists_bars_flags_and_brackets_are_the_same(lists):
    every = sorted({value for values in lists for value in values})
    if not every:
        return
    flags = {f"kind:{value}": [int(value in values) for values in lists] for value in every}
    tables = [
        pl.DataFrame({"kind": lists}),
        pl.DataFrame({"kind": ["|".join(values) for values in lists]}),
        pl.DataFrame({"kind": [str(values) for values in lists]}),
        pd.DataFrame({"kind": lists}),
    ]
    try:
        first, *others = [Features.learned(table, multivalued=["kind"], min_rows=1) for table in tables]
    except DataError:
        return
    group = Features.learned(flags, multivalued={"kind": list(flags)}, min_rows=1)
    dense = first.encode(tables[0]).to_dense()
    for features, table in [*zip(others, tables[1:], strict=True), (first, tables[1]), (first, tables[3])]:
        assert features.names == first.names
        np.testing.assert_array_equal(features.encode(table).to_dense(), dense)
    if len(every) > 1:
        assert group.names == first.names
        np.testing.assert_array_equal(group.encode(flags).to_dense(), dense)


# ---- what a column is taken for

N = 60
COLUMNS = {
    "texts": (["a", "b", "c"] * 20, "categorical"),
    "blanks": (["a", " ", "b"] * 20, "categorical"),
    "codes as text": ([str(n % 21) for n in range(N)], "categorical"),
    "codes with zeros": ([f"{n % 40:03}" for n in range(N * 2)][:N], "left out"),
    "codes": ([n % 5 for n in range(N)], "categorical"),
    "two numbers": ([0.5, 1.5] * 30, "categorical"),
    "truth": ([True, False, None] * 20, "categorical"),
    "ages": ([20 + n % 35 for n in range(N)], "continuous"),
    "ages as text": ([str(20 + n % 35) for n in range(N)], "continuous"),
    "prices": ([n / 7 for n in range(N)], "continuous"),
    "prices as text": ([f"{n / 7:.3f}" if n else "NA" for n in range(N)], "continuous"),
    "years": ([1990 + n % 4 for n in range(N)], "continuous"),
    "years as text": ([str(1990 + n % 4) for n in range(N)], "continuous"),
    "days": ([f"{n % 28 + 1:02}-Jan-1995" for n in range(N)], "date"),
    "iso days": ([f"1995-01-{n % 28 + 1:02}" for n in range(N)], "date"),
    "times of day": ([f"1995-01-{n % 28 + 1:02}T10:00:00Z" for n in range(N)], "date"),
    "dates": ([datetime.date(1995, 1, n % 28 + 1) for n in range(N)], "date"),
    "bars": (["a|b", "b", "c|a"] * 20, "multi-valued"),
    "commas": (["a, b", "b", "a"] * 20, "multi-valued"),
    "lists": ([["a", "b"], ["b"], []] * 20, "multi-valued"),
    "lists as text": (["['a', 'b']", '["b"]', "[]"] * 20, "multi-valued"),
    "places": (["Rome, Italy", "Paris, France"] * 30, "categorical"),
    "titles": ([f"The {n}, a film" for n in range(N)], "left out"),
    "addresses": (["http://a.b", "https://a.b/c"] * 30, "left out"),
    "row numbers": (list(range(100, 100 + N)), "left out"),
    "imdbId": ([n * n for n in range(N)], "left out"),
    "squares": ([n * n for n in range(N)], "continuous"),
    "category_id": ([n % 25 for n in range(N)], "categorical"),
    "constant": (["x"] * N, "left out"),
    "constant number": ([7] * N, "left out"),
    "one class or none": (["x", None] * 30, "categorical"),
    "nothing": ([None] * N, "left out"),
    "blank": ([""] * N, "left out"),
    "vectors": ([[0.5, 1.5]] * N, "left out"),
    "records": ([{"a": 1}] * N, "left out"),
    "mixed": ([1, "a", 2.5] * 20, "categorical"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_column_becomes(name):
    values, became = COLUMNS[name]
    features = Features.learned({name: values})
    assert features.report[name].startswith(became), features.report
    assert features.encode({name: values}).unknown == {}
    assert features.n_features == len(features.names) == features.encode({name: values}).shape[1]


def test_all_of_them_in_one_table_of_every_kind():
    table = pl.DataFrame(
        {name: pl.Series(name, values, strict=False) for name, (values, _) in COLUMNS.items() if name != "mixed"}
    )
    features = Features.learned(table)
    alone = [name for column in table.columns for name in Features.learned(table.select(column)).names]
    assert features.names == alone
    assert list(features.report) == table.columns
    dense = features.encode(table).to_dense()
    simple = table.drop("vectors", "records", "nothing")
    for other in (simple.to_pandas(), simple.to_arrow(), simple.lazy(), simple.to_dict(as_series=False)):
        np.testing.assert_allclose(Features.learned(other).encode(other).to_dense(), dense, atol=1e-5)


def test_columns_of_0_and_1_are_one_field():
    rng = np.random.default_rng(0)
    flags = {name: rng.integers(0, 2, 30) for name in ("Action", "Sci_Fi", "War")}
    truths = {f"for_{name}": rng.random(30) < 0.5 for name in ("kids", "teens", "all")}
    loose = {name: rng.random(30) < 0.5 for name in ("new", "sold", "seen")}
    features = Features.learned(flags | {"x": rng.normal(size=30)} | truths | loose)
    assert features.classes == {
        "flags": ["Action", "Sci_Fi", "War"],
        "for": ["all", "kids", "teens"],
        **{name: ["false", "true"] for name in loose},
    }
    dense = features.encode(flags | {"x": np.zeros(30)} | truths | loose).to_dense()
    chosen = np.stack(list(flags.values()), axis=1)
    np.testing.assert_allclose(dense[:, :3] ** 2, chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1), atol=1e-6)
    with pytest.raises(DataError, match=r"column 'War', row 2 \(from 0\): 7 is neither 0 nor 1"):
        features.encode({**flags, "War": [0, 1, 7] * 10, "x": np.zeros(30), **truths, **loose})


def test_missing_amounts_are_zero_and_marked():
    features = Features.learned({"age": [10, None, 30.0, float("nan")]}, continuous=["age"])
    assert features.names == ["age", "age missing"]
    assert features.encode({"age": [10.0, None, 20, float("nan")]}).to_dense().tolist() == [
        [-1, 0],
        [0, 1],
        [0, 0],
        [0, 1],
    ]
    whole = Features.learned({"age": [10, 30]}, continuous=["age"])
    assert whole.encode({"age": [None, "?", "old", "30"]}).to_dense().tolist() == [[0], [0], [0], [1]]
    assert whole.encode({"age": [None, "?", "old", "30"]}).unknown == {"age": 1}


def test_dates_in_any_form_are_the_same_amount():
    days = [datetime.date(1995, 1, 1), datetime.date(1996, 7, 1), datetime.date(1999, 3, 31)]
    dates = Features.learned({"day": days})
    dense = dates.encode({"day": days}).to_dense()
    np.testing.assert_allclose(dense.mean(), 0, atol=1e-6)
    for form in ("%d-%b-%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%dT00:00:00Z", "%Y-%m-%d 00:00:00"):
        texts = {"day": [day.strftime(form) for day in days]}
        np.testing.assert_allclose(dates.encode(texts).to_dense(), dense, atol=1e-6)
        np.testing.assert_allclose(Features.learned(texts).encode(texts).to_dense(), dense, atol=1e-6)
    assert dates.encode({"day": ["1995-01-01", "31-Foo-1995", "", None]}).unknown == {"day": 1}
    with pytest.raises(DataError, match="where dates are expected"):
        dates.encode({"day": [1995]})


def test_the_caller_knows_better():
    table = {
        "age": [1, 18, 18, 1] * 15,
        "zip": [f"{n:05}" for n in range(59)] + ["00000"],
        "a": [1, 0, 1] * 20,
        "b": [1, 1, 0] * 20,
    }
    features = Features.learned(table, continuous=["age"], categorical=["zip"], multivalued={"flag": ["a", "b"]})
    assert features.names == ["age", "zip=00000", "flag=a", "flag=b"]
    assert "58 too rare" in features.report["zip"]
    assert Features.learned(table, exclude=["age", "zip", "a", "b"]).n_features == 0
    assert Features.learned(table, categorical=["zip"], min_rows=1).report["zip"] == "categorical: 59 classes"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"categorical": ["agee"]}, OptionError, r"no column 'agee'. The columns are 'age', 'job'"),
        ({"categorical": ["age"], "continuous": ["age"]}, OptionError, "'age' is named twice"),
        ({"exclude": "age"}, OptionError, "exclude='age'.*give a list"),
        ({"multivalued": {"x": "age"}}, OptionError, "give a list"),
        ({"multivalued": {"job": ["age"]}}, OptionError, "group 'job' has the name of a column"),
        ({"continuous": ["job"]}, DataError, r"column 'job', row 1 \(from 0\): 'cook' is not a number"),
        ({"multivalued": {"x": ["age"]}}, DataError, r"column 'age', row 0 \(from 0\): 3 is neither"),
        ({"categorical": ["empty"]}, DataError, "'empty' cannot become features: no value on any row"),
        ({"continuous": ["lists"]}, DataError, "'lists' holds List.*numbers are expected"),
        ({"categorical": ["lists"]}, DataError, "'lists' holds List"),
        ({"min_rows": 0}, OptionError, "min_rows must be"),
    ],
)
def test_errors_say_what_and_where(options, error, says):
    table = {"age": [3, 4, 5], "job": ["1", "cook", "cook"], "empty": [None] * 3, "lists": [["a"], ["a"], []]}
    with pytest.raises(error, match=says):
        Features.learned(table, **options)


@pytest.mark.parametrize("bad", [float("inf"), -float("inf")])
def test_infinite_amounts_are_named(bad):
    with pytest.raises(DataError, match=r"column 'x', row 2 \(from 0\): -?inf is infinite"):
        Features.learned({"x": [1.0, 2.0, bad, 4.0]})
    features = Features.learned({"x": [1.0, 2.5, 4.0]})
    with pytest.raises(DataError, match=r"column 'x', row 0 \(from 0\): -?inf"):
        features.encode({"x": [bad]})
    with pytest.raises(DataError, match="'1e999' is infinite"):
        features.encode({"x": ["1e999"]})


@pytest.mark.parametrize("scale", [1e-300, 1e-5, 1.0, 1e5, 1e300])
def test_any_unit_gives_the_same_features(scale):
    values = np.array([1.0, 2.5, 4.0, 10.0])
    plain, scaled = ({"x": values}, {"x": values * scale})
    dense = Features.learned(plain).encode(plain).to_dense()
    np.testing.assert_allclose(Features.learned(scaled).encode(scaled).to_dense(), dense, rtol=1e-5)
    assert Features.learned(plain).encode({"x": [1e308, -1e308]}).to_dense().tolist() == [
        [MAX_DEVIATION],
        [-MAX_DEVIATION],
    ]


def test_hostile_tables():
    empty = Features.learned({})
    assert (empty.names, str(empty)) == ([], "0 features, learned from 0 rows")
    assert Features.learned({"a": [], "b": pl.Series([], dtype=pl.List(pl.Int8))}).n_features == 0
    one = Features.learned({"a": ["x"], "b": [1.5], "c": [["x"]], "d": [True]})
    assert one.names == []
    assert one.encode({"a": ["x", "y"], "e": [1, 2]}).shape == (2, 0)
    empty = {"job": pl.Series([], dtype=pl.String), "x": [], "some": []}
    features = Features.learned({"job": ["a", "a", "b", "b"], "x": [1, 2, 3.5, 4], "some": ["a|b", "a", "b", ""]})
    assert features.encode(empty).shape == (0, 5)
    assert features.encode({"job": [None], "x": [None], "some": [None]}).to_dense().tolist() == [[0] * 5]
    with pytest.raises(DataError, match=r"no column 'x', .*columns are \['job'\]"):
        features.encode({"job": ["a"]})
    with pytest.raises(DataError, match="different lengths: a 1, b 2"):
        Features.learned({"a": [1], "b": [1, 2]})
    with pytest.raises(DataError, match="from this int: give a frame"):
        Features.learned(5)
    objects = pl.DataFrame({"odd": pl.Series([object(), object()], dtype=pl.Object)})
    assert "neither text nor number" in Features.learned(objects).report["odd"]


ODD = {
    "categories": pl.Series(["a", "b"] * 30, dtype=pl.Categorical),
    "categories of numbers": pl.Series(["NA", *(f"{n / 7:.2f}" for n in range(59))], dtype=pl.Categorical),
    "decimals": pl.Series([1.25, 2.5, 3.75] * 20).cast(pl.Decimal(10, 2)),
    "durations": pl.Series([1, 2] * 30, dtype=pl.Duration("us")),
    "lists of durations": pl.Series([[1], [2]] * 30, dtype=pl.List(pl.Duration("us"))),
    "times": pl.Series([1, 2] * 30, dtype=pl.Time),
    "bytes": pl.Series([b"a", b"b"] * 30),
    "arrays": pl.Series([["a", "b"], ["a", "c"]] * 30, dtype=pl.Array(pl.String, 2)),
    "lists of lists": pl.Series([[["a"]]] * 60),
    "beyond 63 bits": pl.Series([2**63 + n for n in range(60)], dtype=pl.UInt64),
    "times in a zone": pl.Series([n * 10**15 for n in range(60)]).cast(pl.Datetime("us", "UTC")),
    "whole lists": pl.Series([[1, 2], [2]] * 30),
}


@pytest.mark.parametrize("name", [*COLUMNS, *ODD])
def test_any_column_after_any_other_is_encoded_or_refused_in_words(name):
    every = {other: pl.Series("x", values, strict=False) for other, (values, _) in COLUMNS.items() if other != "mixed"}
    every |= {other: series.alias("x") for other, series in ODD.items()}
    if name == "mixed":
        every[name] = pl.Series("x", list(map(str, COLUMNS[name][0])))
    features = Features.learned(every[name].to_frame())
    assert features.encode(every[name].to_frame()).shape == (60, features.n_features)
    declared = [{"categorical": ["x"]}, {"multivalued": ["x"]}, {"continuous": ["x"]}, {"multivalued": {"g": ["x"]}}]
    for other in every.values():
        try:
            design = features.encode(other.to_frame())
            assert np.isfinite(design.values).all()
        except DataError as error:
            assert "'x'" in str(error)
    for options in declared:
        try:
            Features.learned(every[name].to_frame(), **options)
        except DataError as error:
            assert "'x'" in str(error) or "'g'" in str(error)


def test_many_distinct_strings():
    n = 100_000
    table = {"name": [f"n{at}" for at in range(n)], "tags": [f"t{at % 50_000}|u{at}" for at in range(n)]}
    features = Features.learned(table)
    assert features.report["name"].startswith("left out: 100,000 different texts")
    assert features.report["tags"] == "multi-valued, at '|': 50,000 classes, and 100,000 too rare for a feature"
    design = features.encode(table)
    assert design.unknown == {"tags": n}
    assert (np.diff(design.indptr) == 1).all()
    assert "n5" not in json.dumps(features.to_dict())
