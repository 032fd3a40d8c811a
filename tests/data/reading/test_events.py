"""Events: views, carts and purchases of one column become counts; none is dropped unsaid."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.reading.events import EventWeights, event_column
from palate.data.reading.events import plain as plain_name
from palate.data.reading.looks import Column
from palate.errors import DataError, OptionError

SHOP = pl.DataFrame(
    {
        "visitor": ["ann", "ann", "bob", "bob", "cid", "cid", "dan"],
        "event": ["view", "addtocart", "view", "remove_from_cart", "view", "Transaction", "view"],
        "item": ["tea", "tea", "tea", "tea", "jam", "jam", "jam"],
    }
)


def counts(ratings):
    columns = ratings.to_frame().select("user", "item", "weight").rows()
    return {(user, item): weight for user, item, weight in columns}


def test_a_column_of_events_is_asked_about():
    with pytest.raises(
        DataError, match=r"column 'event' says what happened: 'view' \(4\).*event=\{\"view\": 1"
    ) as caught:
        palate.read(SHOP, kind="implicit", user="visitor")
    assert "event=False" in str(caught.value)


def test_worths_add_up_and_what_is_not_above_zero_is_no_choice():
    worth = {"view": 1, "addtocart": 3, "transaction": 10, "remove_from_cart": -1}
    ratings = palate.read(SHOP, kind="implicit", event=worth)
    assert counts(ratings) == {("ann", "tea"): 4, ("cid", "jam"): 11, ("dan", "jam"): 1}
    assert ratings.report.columns["event"] == "event"
    assert ratings.report.left_out == {"events of a pair that are worth 0 or less": 1}


def test_ignored_events_leave_no_row():
    worth = {"view": "ignore", "addtocart": 3, "transaction": 10, "remove_from_cart": "ignore"}
    ratings = palate.read(SHOP, kind="implicit", event=worth)
    assert counts(ratings) == {("ann", "tea"): 3, ("cid", "jam"): 10}
    assert list(ratings.user_vocabulary) == ["ann", "cid"]


def test_documented_worths_and_none():
    assert counts(palate.read(SHOP, kind="implicit", event=True))[("cid", "jam")] == 11
    assert counts(palate.read(SHOP, kind="implicit", event=False))[("bob", "tea")] == 2


def test_counts_are_multiplied():
    frame = SHOP.with_columns(quantity=pl.Series([1, 2, 1, 1, 1, 5, 1]))
    worth = {"view": 0.5, "addtocart": 3, "transaction": 10, "remove_from_cart": 0}
    assert counts(palate.read(frame, kind="implicit", event=worth))[("cid", "jam")] == 50.5


def test_the_words_find_a_column_of_any_name():
    frame = SHOP.rename({"event": "what"})
    assert counts(
        palate.read(frame, kind="implicit", event={"view": 1, "add to cart": 1, "transaction": 2, "removefromcart": 0})
    )
    with pytest.raises(DataError, match="what"):
        palate.read(frame, kind="implicit")


def test_a_text_file_without_names(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("".join(f"{row[0]},{row[2]},{row[1]}\n" for row in SHOP.rows()))
    with pytest.raises(DataError, match="says what happened"):
        palate.read(path, kind="implicit", header=False)
    ratings = palate.read(path, kind="implicit", header=False, event=True)
    assert counts(ratings) == {("ann", "tea"): 4, ("cid", "jam"): 11, ("dan", "jam"): 1}


@pytest.mark.parametrize("event", ["view", {"view": "twice"}, {"view": True}, {"view": 0}, {"view": float("nan")}, {}])
def test_refusals(event):
    with pytest.raises(OptionError, match="event="):
        palate.read(SHOP, kind="implicit", event=event)


def test_events_are_for_choices():
    with pytest.raises(OptionError, match='kind="implicit"'):
        palate.read(SHOP, event=True)


def test_words_without_a_worth_are_named():
    with pytest.raises(DataError, match="no weight for 'Transaction', 'remove_from_cart'"):
        palate.read(SHOP, kind="implicit", event={"view": 1, "addtocart": 3})
    with pytest.raises(DataError, match="no column has 'sold'"):
        palate.read(SHOP, kind="implicit", event={"sold": 1})


def test_a_genre_is_no_event():
    frame = SHOP.with_columns(event=pl.lit("a")).rename({"event": "genre"})
    assert len(palate.read(frame, kind="implicit")) == 4


@pytest.mark.parametrize(
    ("words", "worth"),
    [
        ("impression show exposure", None),
        ("view pv page_view click open read visit detail play listen watch product_view item_view", 1),
        ("like fav favorite favourite bookmark save wishlist collect share follow add_to_wishlist", 2),
        ("cart add_to_cart basket add_to_basket", 3),
        ("checkout begin_checkout", 5),
        ("buy purchase transaction order conversion rent subscribe", 10),
        ("remove_from_cart remove_from_wishlist unlike", -1),
        ("dislike", -2),
        ("return refund", -5),
    ],
)
def test_the_documented_worths(words, worth):
    """Each beside a purchase of the same thing, so that what takes off can be seen."""
    for word in words.split():
        events = {"user": ["ann", "ann"], "item": ["tea", "tea"], "event": ["purchase", word]}
        assert counts(palate.read(events, kind="implicit", event=True)) == {("ann", "tea"): 10 + (worth or 0)}


@pytest.mark.parametrize("n_words", [30, 31])
def test_a_column_of_events_has_at_most_30_words(n_words):
    words = ["view", "buy", *(f"word {at}" for at in range(n_words - 2))]
    frame = {"user": [f"u{at}" for at in range(n_words)], "item": ["tea"] * n_words, "what": words}
    if n_words > 30:
        assert "event" not in palate.read(frame, kind="implicit").report.columns
        return
    with pytest.raises(DataError, match="says what happened"):
        palate.read(frame, kind="implicit")


@pytest.mark.parametrize(
    ("name", "words", "is_asked"),
    [
        ("event", ["x", "y"], True),
        ("event", [1, 2], True),
        ("event", [1.5, 2.5], False),
        ("what", ["view", "buy"], True),
        ("what", ["view", "x"], False),
        ("what", ["view", "view"], True),
        ("what", ["x", "x"], False),
        ("event", [None, None], False),
    ],
)
def test_events_are_told_by_their_name_or_by_two_known_words(name, words, is_asked):
    frame = {"user": ["ann", "bob"], "item": ["tea", "tea"], name: words}
    if is_asked:
        with pytest.raises(DataError, match="says what happened"):
            palate.read(frame, kind="implicit")
    else:
        assert len(palate.read(frame, kind="implicit")) == 2


@pytest.mark.parametrize(
    "event", [{"view": True}, {"view": float("inf")}, {"view": "x"}, {"view": 0}, {"view": -1, "buy": "ignore"}, {}, 5]
)
def test_worths_that_make_no_sense(event):
    with pytest.raises(OptionError, match="event="):
        palate.read(SHOP, kind="implicit", user="visitor", event=event)


# ---- function by function


def position(words, event, *, name="what", other=("x", "y")):
    columns = [Column("first", pl.Series(other)), Column(name, pl.Series(words))]
    return event_column(columns, ["first", plain_name(name)], event, "it")


def test_the_column_of_events_is_found_by_its_name_or_its_words():
    assert position(["view", "buy"], True) == 1
    assert position(["view", "buy"], False) is None
    assert position(["x", "y"], None) is None
    assert position(["x", "y"], {"y": 1}) == 0  # the first that has one of the words
    assert position(["x", "z"], {"Z ": 1}) == 1
    assert position(["view", "buy"], True, other=["like", "buy"]) == 0
    assert position(["view", "buy"], None, name="item") is None  # a thing called so
    with pytest.raises(DataError, match="it has no column of events: leave out event=True"):
        position(["x", "y"], True)
    with pytest.raises(DataError, match="no column has 'z', which event= names"):
        position(["x", "y"], {"z": 1})
    times = Column("event", pl.Series(["2020-01-02", "2020-01-03"]))
    assert event_column([times], ["event"], None, "it") is None


def test_each_row_has_the_worth_of_its_event():
    weights = EventWeights.of({"View": 2, "add to cart": 3.5, "x": "ignore"}, "it")
    found = weights(pl.Series(["view", "Add-To-Cart", "X", "view"]))
    assert found[[0, 1, 3]].tolist() == [2, 3.5, 2] and np.isnan(found[2])
    assert weights(pl.Series(["view"], dtype=pl.Categorical)).tolist() == [2]
    assert EventWeights.of(True, "it")(pl.Series(["purchase", "click"])).tolist() == [10, 1]
    with pytest.raises(DataError, match="it: event= has no weight for '', 'y'"):
        weights(pl.Series(["view", "y", None]))
