"""Frames of other libraries at every entrance: repeated names, types that polars lacks, no rows; never a raw error."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import palate
from palate.data.features import Features
from palate.data.native import distinct_names, polars_errors_in_words
from palate.errors import DataError, LabelTypeError, PalateError

USERS, ITEMS, STARS = list("aabbcc"), list("xyxzyz"), [5, 1, 4, 2, 1, 3]
RATINGS = palate.read({"user": USERS, "item": ITEMS, "rating": STARS})
BAYES = palate.Bayes(n_factors=2, n_sweeps=10, seed=1).fit(RATINGS, progress=False)

# Every question that takes a frame: what it does with the frame, and the frame without its troubles.
TRIPLES = {"user": USERS, "item": ITEMS, "rating": STARS}
ENTRANCES = {
    "read": (palate.read, TRIPLES),
    "read(items=)": (lambda frame: palate.read(TRIPLES, items=frame), {"item": list("xyz"), "year": [1, 2, 3]}),
    "read(users=)": (lambda frame: palate.read(TRIPLES, users=frame), {"user": list("abc"), "age": [1, 2, 3]}),
    "with_items": (RATINGS.with_items, {"item": list("xyz"), "year": [1, 2, 3]}),
    "with_users": (RATINGS.with_users, {"user": list("abc"), "age": [1, 2, 3]}),
    "Features": (Features.learned, {"genre": list("xyxyxy"), "age": [1.5, 2, 3, 4, 5, 7]}),
    "update": (BAYES.update, {"user": ["a", "d"], "item": ["z", "x"], "rating": [3, 4]}),
    "predict": (BAYES.predict, {"user": ["a", "b"], "item": ["z", "y"]}),
    "recommend": (BAYES.recommend, {"user": ["a", "b"]}),
    "recommend(items=)": (lambda frame: BAYES.recommend(["a"], items=frame), {"user": ["a"], "item": ["z"]}),
    "recommend(exclude=)": (lambda frame: BAYES.recommend(["a"], exclude=frame), {"user": ["a"], "item": ["z"]}),
    "similar_items": (BAYES.similar_items, {"item": ["x", "z"]}),
    "fold_in": (BAYES.fold_in, {"item": ["x", "z"], "rating": [5, 1]}),
}
TABLES = {"read(items=)", "read(users=)", "with_items", "with_users", "Features"}
FRAMES = {"pandas": pd.DataFrame, "pyarrow": pa.table, "polars": pl.DataFrame}
every_entrance = pytest.mark.parametrize("entrance", ENTRANCES)

ODD = {  # columns of pandas that polars has no type for, or a type that a model file cannot keep
    "sparse": lambda n: pd.arrays.SparseArray([0, 1] * (n // 2) + [0] * (n % 2)),
    "period": lambda n: pd.period_range("2020-01", periods=n, freq="M"),
    "complex": lambda n: np.arange(n) + 1j,
    "interval": lambda n: pd.interval_range(0, n),
    "duration": lambda n: pd.to_timedelta(np.arange(n), unit="D"),
    "objects": lambda n: pd.Series([object() for _ in range(n)], dtype=object),
}


def shown(answer):
    """An answer as something that can be compared."""
    if isinstance(answer, palate.Ratings):
        with palate.set_output("polars"):
            return answer.to_frame().to_dict(as_series=False)
    if isinstance(answer, Features):
        return answer.names
    if hasattr(answer, "vector"):
        return answer.vector.tolist()
    if hasattr(answer, "model"):
        return answer.model.factors.users.tolist()
    if isinstance(answer, pd.DataFrame):
        return answer.to_dict("list")
    return answer.to_pydict() if isinstance(answer, pa.Table) else answer.to_dict(as_series=False)


def with_repeats(kind, columns, name):
    """A frame with two more columns of one name."""
    values = next(iter(columns.values()))
    if kind == "pandas":
        more = pd.DataFrame(columns)
        return pd.concat([more, pd.Series(values, name=name), pd.Series(values, name=name)], axis=1)
    return pa.table([*map(pa.array, columns.values()), pa.array(values), pa.array(values)], [*columns, name, name])


@every_entrance
@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_columns_of_one_name_that_nobody_needs_change_nothing(entrance, kind):
    ask, columns = ENTRANCES[entrance]
    frame = with_repeats(kind, columns, "note")
    before = list(frame.columns if kind == "pandas" else frame.column_names)
    if entrance == "Features":  # which needs all columns
        assert set(shown(ask(frame))) > set(shown(ask(FRAMES[kind](columns))))
    else:
        assert shown(ask(frame)) == shown(ask(FRAMES[kind](columns)))
    assert list(frame.columns if kind == "pandas" else frame.column_names) == before


@every_entrance
@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_columns_of_one_name_that_is_needed_are_named_in_an_error(entrance, kind):
    ask, columns = ENTRANCES[entrance]
    name = next(iter(columns))
    if entrance in TABLES:
        ask(with_repeats(kind, columns, name))  # of a table of attributes, the first is the id
        return
    with pytest.raises(DataError, match=f"3 columns .*called '{name}'"):
        ask(with_repeats(kind, columns, name))


def test_a_position_tells_columns_of_one_name_apart():
    frame = pd.DataFrame({**TRIPLES, "b": [2] * 6, "c": [3] * 6}).set_axis([*TRIPLES, "rating", "rating"], axis=1)
    assert palate.read(frame, rating=3).values.tolist() == [2.0] * 6


@every_entrance
@pytest.mark.parametrize("odd", ODD)
def test_columns_of_types_that_polars_lacks_are_kept_or_passed_over(entrance, odd, tmp_path):
    ask, columns = ENTRANCES[entrance]
    plain = pd.DataFrame(columns)
    answer = ask(plain.assign(odd=ODD[odd](len(plain))))
    if isinstance(answer, palate.Ratings):
        palate.Bias().fit(answer, progress=False).save(tmp_path / "model.palate")
    if entrance != "Features":
        columns_of = shown(answer)
        assert columns_of == shown(ask(plain)) or set(columns_of) > set(shown(ask(plain)))


@every_entrance
@pytest.mark.parametrize("odd", ODD)
def test_needed_columns_of_such_types_are_an_answer_or_an_error_in_words(entrance, odd):
    ask, columns = ENTRANCES[entrance]
    plain = pd.DataFrame(columns)
    for name in columns:
        try:
            ask(plain.assign(**{name: ODD[odd](len(plain))}))
        except PalateError as error:
            assert len(str(error)) < 600


@pytest.mark.parametrize("kind", ["sparse", "categorical", "polars categorical", "polars enum", "arrow dictionary"])
def test_a_column_counts_by_its_values_however_it_is_stored(kind):
    texts = [str(star) for star in STARS]
    column = {
        "sparse": lambda: pd.Series(pd.arrays.SparseArray(STARS)),
        "categorical": lambda: pd.Series(texts, dtype="category"),
        "polars categorical": lambda: pl.Series(texts, dtype=pl.Categorical),
        "polars enum": lambda: pl.Series(texts, dtype=pl.Enum(list("12345"))),
        "arrow dictionary": lambda: pa.array(texts).dictionary_encode(),
    }[kind]()
    make = (
        pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame if isinstance(column, pl.Series) else pa.table
    )
    read = palate.read(make({"user": USERS, "item": ITEMS, "rating": column, "weight": column, "time": column}))
    assert read.values.tolist() == [float(star) for star in STARS] == read.weights.tolist()
    assert read.times.tolist() == STARS
    counted = palate.read(make({"user": USERS, "item": ITEMS, "count": column}), kind="implicit")
    assert counted.weights.tolist() == [float(star) for star in STARS]


@every_entrance
@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_without_rows_is_the_same_of_every_library(entrance, kind):
    ask, columns = ENTRANCES[entrance]

    def told(frame):
        try:
            return shown(ask(frame))
        except PalateError as error:
            return type(error), str(error).replace("Table", "DataFrame")

    typed = {name: pl.Series(name, values).head(0) for name, values in columns.items()}
    untyped = {name: np.zeros(0) for name in columns}  # pandas' own type of a column without values
    for empty in (untyped, {name: [] for name in columns}, {name: column.to_list() for name, column in typed.items()}):
        assert told(FRAMES[kind](empty)) == told(pl.DataFrame(typed))


def test_ids_that_are_all_missing_have_no_type():
    with pytest.raises(DataError, match="no user"):
        palate.read({"user": np.array([np.nan] * 6), "item": ITEMS, "rating": STARS})


@pytest.mark.parametrize("values", [np.arange(6) + 1j, pl.Series([object()] * 6, dtype=pl.Object)])
def test_ids_of_types_that_polars_lacks_are_refused(values):
    with pytest.raises(LabelTypeError):
        palate.read({"user": values, "item": ITEMS, "rating": STARS})


def test_a_table_in_the_order_of_the_items_has_plain_columns_too(tmp_path):
    table = pl.DataFrame({"kind": pl.Series([frozenset("a")] * 3, dtype=pl.Object), "year": [1, 2, 3]})
    given = RATINGS.with_items(table)
    assert given.item_table.schema == {"kind": pl.String, "year": pl.Int64}
    palate.Bias().fit(given, progress=False).save(tmp_path / "model.palate")


def test_a_panic_of_polars_is_a_data_error():
    assert not issubclass(pl.exceptions.PanicException, Exception)
    for error in (pl.exceptions.PanicException("out of\nrange"), pl.exceptions.ComputeError("out of\nrange")):
        with pytest.raises(DataError, match=r"^the table cannot be read: out of$"), polars_errors_in_words("the table"):
            raise error


@pytest.mark.parametrize("names", [["a", "a", "a_2", ""], ["", "", "column_1"], ["a_2", "a", "a"], ["a", "b"]])
def test_names_that_repeat_get_a_number(names):
    distinct = distinct_names(names)
    assert len(set(distinct)) == len(names)
    assert [new for new, old in zip(distinct, names, strict=True) if names.count(old) == 1 and old] == [
        name for name in names if names.count(name) == 1 and name
    ]
