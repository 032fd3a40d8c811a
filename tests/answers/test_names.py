"""Items by title in Python: find(), and titles in place of labels wherever a person names items."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.answers.names import Names
from palate.data.datasets import synthetic
from palate.data.titles import Titles, folded, spellings_of
from palate.errors import DataError, LabelTypeError, OptionError, UnknownLabelError

TITLES = ["Alien (1979)", "Aliens (1986)", "Amélie (2001)", "Matrix, The (1999)", "1984 (1984)", "Sabrina (1954)",
          "Sabrina (1995)", "Star Wars (1977)"]  # fmt: skip


def with_titles(ratings, n):
    names = [TITLES[at] if at < len(TITLES) else f"Film {at}" for at in range(n)]
    return ratings.with_items({"item": ratings.item_vocabulary.labels, "title": names})


@pytest.fixture(scope="module")
def rec():
    return palate.Bayes(n_sweeps=15).fit(with_titles(synthetic(60, 40, 1200, seed=1), 40), progress=False)


@pytest.fixture(scope="module")
def numbered():
    """Labels that are integers, and choices."""
    ratings = synthetic(60, 40, 1200, seed=1)
    frame = ratings.to_frame().with_columns(item=pl.col("item").str.strip_prefix("i").cast(pl.Int64))
    ratings = with_titles(palate.read(frame.select("user", "item"), kind="implicit"), 40)
    return palate.ImplicitALS(n_factors=8).fit(ratings, progress=False)


def test_find_gives_whole_titles_first_then_parts_then_what_is_spelt_alike(rec):
    assert rec.find("alien")["title"].to_list() == ["Alien (1979)", "Aliens (1986)"]
    assert rec.find("AMELIE")["item"].to_list() == ["i2"]
    assert rec.find("the matrix")["item"].to_list() == rec.find("Matrix, The")["item"].to_list() == ["i3"]
    assert rec.find("star wras")["title"].to_list() == ["Star Wars (1977)"]
    assert rec.find("qqqqqqqq").height == 0
    films = rec.find("film", n=5)
    assert films.columns == ["item", "title", "n_ratings"]
    counts = np.bincount(rec.model.history.indices, minlength=rec.n_items)
    assert films["n_ratings"].to_list() == sorted(counts[len(TITLES) :], reverse=True)[:5]
    assert rec.find("film", n=0).height == 0


def test_find_without_titles_looks_at_labels():
    rec = palate.Bias().fit(palate.read({"user": ["u", "u"], "item": ["green tea", "tea"], "rating": [1, 2]}))
    assert rec.find("TEA").to_dicts() == [{"item": "tea", "n_ratings": 1}, {"item": "green tea", "n_ratings": 1}]
    with pytest.raises(OptionError, match="a part of a title"):
        rec.find(" ")
    with pytest.raises(OptionError, match="n must be"):
        rec.find("tea", n=-1)


def test_titles_stand_for_labels_in_every_question(rec):
    assert rec.predict("u1", "Star Wars (1977)") == rec.predict("u1", "i7")
    assert rec.predict("u1", ["amelie", "i4"]).equals(rec.predict("u1", ["i2", "i4"]))
    assert rec.explain("u1", "star wars") == rec.explain("u1", "i7")
    assert rec.similar_items("star w", n=3).equals(rec.similar_items("i7", n=3))
    assert rec.similar_items(["star wars", "i3"], n=2).equals(rec.similar_items(["i7", "i3"], n=2))
    for option in ("items", "exclude"):
        for given_by in (lambda names: names, lambda names: {"u1": names, "u2": ["i9"]}):
            by_title, by_label = (
                rec.recommend(["u1", "u2"], n=4, **{option: given_by(names)})
                for names in (["amelie", "i7"], ["i2", "i7"])
            )
            assert by_title.equals(by_label)
    new, same = (rec.fold_in({name: 5, "i1": 2}) for name in ("the matrix", "i3"))
    np.testing.assert_array_equal(new.vector, same.vector)
    assert new.predict("amelie") == same.predict("i2")
    assert new.predict(["amelie", "i5"]).equals(same.predict(["i2", "i5"]))
    assert new.explain("star wars") == same.explain("i7")
    assert rec.ask(3, exclude=["amelie"]).equals(rec.ask(3, exclude=["i2"]))
    assert str(rec.cross_tab(["u1"], ["amelie"])) == str(rec.cross_tab(["u1"], ["i2"]))
    assert "i2" not in rec.forget(items="amelie").model.item_vocabulary


def test_titles_of_items_with_integer_labels(numbered):
    assert numbered.similar_items("amelie", n=3).equals(numbered.similar_items(2, n=3))
    np.testing.assert_array_equal(numbered.fold_in(["amelie", 7]).vector, numbered.fold_in([2, 7]).vector)
    np.testing.assert_array_equal(numbered.fold_in({"amelie": 2, 7: 1}).vector, numbered.fold_in({2: 2, 7: 1}).vector)
    assert numbered.predict("u1", ["star wars", 3]).equals(numbered.predict("u1", [7, 3]))
    with pytest.raises(LabelTypeError, match="did you mean 3"):
        numbered.similar_items("3")


def test_several_titles_are_an_error_that_lists_them_and_none_one_that_says_what_is_close(rec):
    with pytest.raises(UnknownLabelError, match=r"'sabrina' fits 2 titles: i5 Sabrina \(1954\); i6 Sabrina \(1995\)"):
        rec.explain("u1", "sabrina")
    with pytest.raises(UnknownLabelError, match="'sabrina' fits 2 titles"):
        rec.predict("u1", "sabrina")  # also where unknown items have an answer
    with pytest.raises(UnknownLabelError, match=r"fits 38 titles: .*; and 30 more. Type more"):
        rec.similar_items("i")
    with pytest.raises(UnknownLabelError, match=r"a title that contains it. Did you mean 'Star Wars \(1977\)'"):
        rec.recommend("u1", exclude=["star wras"])
    with pytest.raises(DataError, match="'i7' is named twice"):
        rec.fold_in({"star wars": 5, "i7": 4})


def test_new_ids_in_a_list_are_left_out_and_misspelt_titles_are_not(rec, numbered):
    for ids in (["sku-17", "B00X4WHP5E", "4711"], ["i99", "i1x"], ["zzzqqq"], ["aa"], ["no such film at all"]):
        for option in ("items", "exclude"):
            assert rec.recommend("u1", **{option: [*ids, "i4", "amelie"]}).equals(
                rec.recommend("u1", **{option: ["i4", "i2"]})
            )
        with pytest.raises(UnknownLabelError):
            rec.recommend("u1", items=ids, on_unknown="raise")
    for ask in (rec.fold_in({"i1": 5}).recommend, rec.ask, lambda **options: rec.similar_items("i1", **options)):
        for option in ("items", "exclude"):
            assert ask(**{option: ["sku-17", "amelie"]}).equals(ask(**{option: ["i2"]}))
            with pytest.raises(UnknownLabelError, match=r"Did you mean 'Star Wars \(1977\)'"):
                ask(**{option: ["star wras"]})
            with pytest.raises(UnknownLabelError, match=r"Did you mean 'Amélie"):
                ask(**{option: ["amelei"]})
    assert numbered.recommend("u1", exclude=[99, 2, 10**9]).equals(numbered.recommend("u1", exclude=[2]))


@pytest.mark.parametrize("label", [np.int64(99), np.int32(99), np.uint8(99), np.array(99), 99])
def test_messages_show_labels_as_python_writes_them(numbered, label):
    ratings = palate.read({"user": [1, 1, 2], "item": [5, 6, 5], "rating": [5.0, 3.0, 1.0]})
    rec = palate.Bayes(n_factors=2, n_sweeps=10).fit(ratings, progress=False)
    titled = ratings.with_items({"item": [5, 6], "title": ["Alien", "Amélie"]})
    questions = [
        lambda: rec.predict(1, label, on_unknown="raise"),
        lambda: rec.predict(label, 5, on_unknown="raise"),
        lambda: rec.predict([1], [label], on_unknown="raise"),
        lambda: rec.predict([1], np.array([label]), on_unknown="raise"),
        lambda: rec.recommend(label, on_unknown="raise"),
        lambda: rec.recommend(1, items=[label], on_unknown="raise"),
        lambda: rec.recommend(1, items={1: [label]}, on_unknown="raise"),
        lambda: rec.similar_items(label),
        lambda: rec.similar_users([label]),
        lambda: rec.explain(1, label),
        lambda: rec.explain(label, 5),
        lambda: rec.history(label),
        lambda: rec.fold_in({int(label): 5}),
        lambda: rec.cross_tab([label]),
        lambda: rec.forget(items=label),
        lambda: numbered.fold_in([label]),
        lambda: ratings.user_vocabulary.encode_one(label),
        lambda: rec.explain("1", 5),
        lambda: rec.explain(np.str_("1"), 5),
        lambda: rec.explain(1, np.float64(99)),
        lambda: palate.Vocabulary(np.array([99.5])),
        lambda: palate.Vocabulary(["a"]).encode([label]),
        lambda: rec.fold_in(pl.DataFrame({"item": [5, 5], "rating": [5, 4]})),
        lambda: palate.Bias().fit(titled).fold_in({np.int64(5): 5, "alien": 4}),
        lambda: rec.fold_in({np.int64(5): 900}),
        lambda: palate.read({"user": [99, 99], "item": [5, 5], "rating": [1, 2]}, duplicates="error"),
        lambda: palate.read(np.array([[1.5, 2, 3]])),
    ]
    for question in questions:
        with pytest.raises(palate.errors.PalateError) as error:
            question()
        assert "np." not in str(error.value) and "array(" not in str(error.value), str(error.value)


def test_where_unknown_items_have_an_answer_only_whole_titles_count(rec):
    unknown = rec.predict("u1", "no such item")
    assert rec.predict("u1", "star w") == rec.predict("u1", "1984") == unknown  # a part; a number that may be an id
    assert rec.predict("u1", "1984", on_unknown="raise") == rec.predict("u1", "i4")
    assert np.isnan(rec.predict("u1", "star w", on_unknown="nan").prediction)
    assert rec.fold_in({"i1": 5}).predict("star w") == rec.fold_in({"i1": 5}).predict("no such item")


def test_frames_and_arrays_hold_labels(rec):
    whole = rec.predict("u1", "no such item")
    for frame in (pl.DataFrame, pd.DataFrame):
        asked = rec.predict(frame({"user": ["u1"], "item": ["Star Wars (1977)"]}))
        assert asked["prediction"][0] == whole.prediction
    assert rec.predict(["u1"], np.array(["Star Wars (1977)"]))["prediction"][0] == whole.prediction
    with pytest.raises(UnknownLabelError):
        rec.fold_in(pl.DataFrame({"item": ["Star Wars (1977)"], "rating": [5]}))


def test_labels_win_over_titles():
    ratings = palate.read({"user": ["u", "u"], "item": ["7", "8"], "rating": [1, 2]})
    rec = palate.Bias().fit(ratings.with_items({"item": ["7", "8"], "title": ["Film (1961)", "7"]}))
    names = Names.of_items(rec.model)
    assert names.labels(["7", "film", "Film (1961)", "1961"]) == ["7", "7", "7", "1961"]  # no part of a title, a number


def test_the_users_of_a_transposed_model_have_the_titles(rec):
    turned = rec.model.transposed()
    assert Names.of_users(turned).labels(["amelie"]) == ["i2"]
    assert Names.of_items(turned).titles is None


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.text(min_size=1), st.data())
def test_an_item_is_found_by_title_or_refused(titles, text, data):
    vocabulary = palate.Vocabulary.in_order([f"id{at}" for at in range(len(titles))], what="item")
    wanted = data.draw(st.sampled_from([text, *titles]))
    try:
        (label,) = Names(vocabulary, Titles(titles)).labels([wanted])
    except UnknownLabelError:
        return
    spellings = spellings_of(titles[int(label[2:])]) if label in vocabulary else ()
    assert wanted == label or any(folded(wanted) in spelling for spelling in spellings)
