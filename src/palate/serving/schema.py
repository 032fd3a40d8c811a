"""What the API takes and gives, as types: requests are checked against them, /openapi.json is made from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

MAX_ITEMS = 1_000  # in one list asked for
MAX_BATCH = 1_000  # requests, pairs or events in one call
MAX_TOTAL = 100_000  # items in all lists of one call
MAX_EXPLAINED = 100  # items with reasons in one call, at some 3 ms each
MAX_REORDERED = 5_000  # items of lists with dials in one call, at some 0.2 ms each
MAX_CONDITIONS = 20  # different ones in one call
MAX_DIALS = 10  # columns that calibrate one list, or that lift its items
MAX_RATINGS = 10_000  # ratings or choices of one user in a request

Label = str | int
By = Literal["mean", "lower", "thompson", "chance", "likely"]
Count = Annotated[int, Meta(ge=0, le=MAX_ITEMS)]
Level = Annotated[float, Meta(gt=0, lt=1)]
Where = Annotated[
    str, Meta(max_length=2_000, description="A condition in SQL on the item table, such as year >= 1990.")
]
Strengths = Annotated[dict[str, float], Meta(max_length=MAX_DIALS)]
Boosts = Annotated[dict[Where, float], Meta(max_length=MAX_DIALS)]
Labels = Annotated[list[Label], Meta(max_length=MAX_RATINGS)]
Ratings = Annotated[dict[str, float], Meta(max_length=MAX_RATINGS)]


# ---- requests --------------------------------------------------------------------------------------------------------


class ListOptions(Struct, forbid_unknown_fields=True, kw_only=True):
    """The options of a list of items, as recommend() has them."""

    n: Count = 10
    by: By = "mean"
    where: Where | None = None
    max_per: Annotated[dict[str, int], Meta(description="At most so many items of each value of a column.")] = field(
        default_factory=dict
    )
    diversity: Annotated[float, Meta(ge=0, le=1, description="How little the items should be alike.")] = 0.0
    diversity_by: Annotated[str, Meta(description="The column by whose values items are alike.")] | None = None
    popularity: Annotated[float, Meta(ge=-1, le=1, description="Towards popular items, below 0 away from them.")] = 0.0
    calibrated: Annotated[Strengths, Meta(description="Columns whose mix follows the user's, and how much.")] = field(
        default_factory=dict
    )
    boost: Annotated[Boosts, Meta(description="Columns or expressions that are lifted, and how much.")] = field(
        default_factory=dict
    )
    exclude: Labels = field(default_factory=list)
    keep_seen: bool | None = None
    recent: (
        Annotated[str, Meta(max_length=20, description="5: a choice counts half 5 choices later; 30d: by age.")] | None
    ) = None
    at_least: float | None = None
    level: Level = 0.9
    seed: Annotated[int, Meta(ge=0)] = 0
    explain: Annotated[bool, Meta(description="Give reasons with each item.")] = False
    scenario: Annotated[str, Meta(description="A named set of options from the scenarios file.")] | None = None
    model: Annotated[str, Meta(description="A model by its name; otherwise the user's share decides.")] | None = None


class ListRequest(ListOptions, forbid_unknown_fields=True, kw_only=True):
    """A list for one user: a known one, or one described by ratings or by items chosen."""

    user: Label | None = None
    likes: Annotated[Ratings, Meta(description="Ratings of a new user, {item: rating}.")] | None = None
    session: Annotated[Labels, Meta(description="Items that a new user chose, in order.")] | None = None


class RankRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Put these items in order for one user."""

    items: Labels
    user: Label | None = None
    likes: Ratings | None = None
    session: Labels | None = None
    by: By = "mean"
    at_least: float | None = None
    level: Level = 0.9
    seed: Annotated[int, Meta(ge=0)] = 0
    model: str | None = None


class Pair(Struct, forbid_unknown_fields=True):
    """A user and an item."""

    user: Label
    item: Label


class PredictionsRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Predictions for pairs of a user and an item."""

    pairs: Annotated[list[Pair], Meta(max_length=MAX_BATCH)]
    level: Level = 0.9
    when: Annotated[float, Meta(description="Seconds since 1970.")] | None = None
    distribution: bool = False
    model: str | None = None


class AskRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to ask a new user next, after these ratings."""

    likes: Ratings = field(default_factory=dict)
    n: Annotated[int, Meta(ge=0, le=100)] = 5
    exclude: Labels = field(default_factory=list)
    model: str | None = None


class Feedback(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something that a user did with an item."""

    id: Annotated[str, Meta(min_length=1, max_length=200, description="Sending the same id again changes nothing.")]
    user: Label
    item: Label
    value: Annotated[float, Meta(description="The rating, or how much a choice counts.")] | None = None
    event: Annotated[str, Meta(min_length=1, max_length=100, description="The kind of event, such as view.")] | None = (
        None
    )
    time: Annotated[float, Meta(description="Seconds since 1970; now if left out.")] | None = None
    answer: Annotated[str, Meta(max_length=200, description="The id of the answer that it came from.")] | None = None


# ---- answers ---------------------------------------------------------------------------------------------------------


class Reason(Struct, omit_defaults=True, gc=False):
    """One of the user's own ratings, and how far it moves the prediction."""

    item: Label
    title: str | None
    rating: float
    contribution: float
    later: int | None = None


class Recommended(Struct, gc=False):
    """An item of a list. low and high are null where the model has no intervals."""

    item: Label
    title: str | None
    rank: int
    score: float
    low: float | None
    high: float | None
    chance: Annotated[float, Meta(description="The probability of at_least or more, if asked for.")] | None = None
    prediction: Annotated[float | None, Meta(description="The predicted rating, whatever ranks the list.")] = None
    reasons: list[Reason] | None = None


class ListAnswer(Struct, gc=False):
    """A list of items, best first."""

    id: str
    model: str
    user: Label | None
    known: Annotated[bool, Meta(description="Whether anything is known of the user: ratings, choices or attributes.")]
    took_ms: float
    items: list[Recommended]


class Prediction(Struct):
    """A predicted rating with an interval."""

    user: Label
    item: Label
    prediction: float
    low: float | None
    high: float | None
    known: Annotated[bool, Meta(description="Whether both user and item are known to the model.")]
    chances: Annotated[dict[str, float], Meta(description="The probability of each rating.")] | None = None


class Predictions(Struct):
    """Predictions in the order of the pairs."""

    id: str
    model: str
    took_ms: float
    predictions: list[Prediction]


class Similar(Struct):
    """An item or a user similar to another."""

    label: Label
    title: str | None
    rank: int
    similarity: float


class SimilarAnswer(Struct):
    """The most similar items or users, most similar first."""

    id: str
    model: str
    took_ms: float
    measure: str
    similar: list[Similar]


class ExplanationAnswer(Struct):
    """The parts of a prediction; they add up to it. contributions, known and rest add up to the user's part."""

    id: str
    model: str
    took_ms: float
    user: Label
    item: Label
    title: str | None
    prediction: float
    parts: dict[str, float]
    because: list[Reason]
    known: dict[str, float]
    rest: float


class Question(Struct):
    """An item to ask about."""

    item: Label
    title: str | None
    rank: int
    gain: float
    known: Annotated[float, Meta(description="The share of users who rated it.")]


class Questions(Struct):
    """What to ask next, the most informative first."""

    id: str
    model: str
    took_ms: float
    items: list[Question]


class FeedbackAnswer(Struct):
    """How many events were kept, and how many had been kept before."""

    accepted: int
    duplicates: int


class Rated(Struct):
    """A rating or choice of a user: learned from, or arrived since."""

    item: Label
    title: str | None
    value: float | None
    event: str | None
    time: float | None
    learned: bool


class History(Struct):
    """What is known of a user."""

    user: Label
    known: bool
    ratings: list[Rated]


class Problem(Struct, omit_defaults=True):
    """What went wrong, and what to do (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str | None = None
    errors: list[Any] = field(default_factory=list)
