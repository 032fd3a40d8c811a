"""Findings: what each look at ratings finds, from their size and scale to cold rows and unlikely times.

Each function looks at one thing and returns a `Finding` with numbers and advice, or None if there is nothing to say.
`find` runs them all, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.order import joined
from palate.data.ratings import Ratings
from palate.data.scale import apart_in, step_of, values_apart
from palate.data.vocabulary import plain_label
from palate.showing import html

Severity = Literal["info", "warning", "problem"]
SIGNS: dict[Severity, str] = {"info": "", "warning": "⚠ ", "problem": "✖ "}  # in notebooks
TEST_SHARE = 0.1  # of the random split whose cold rows are counted
MAX_SHARE_OF_USERS = 0.9  # an item that this share of the users chose says nothing about taste
MAX_SHARE_WITHOUT_ROW = 0.1  # of the items, after which it is no longer only a few that a table lacks
MAX_SHARE_OF_COUNTS = 0.5  # a user with more than this share of all counts is worth a look
CONFIDENCE_ADVICE = 'confidence="relative" (the default) or "equal" keeps large counts from dominating.'


@dataclass(frozen=True)
class Finding:
    """One thing found in ratings.

    Attributes:
        name (str): What was looked at, such as "scale" or "cold rows".
        severity ("info", "warning" or "problem"): "problem" if learning from such ratings makes little sense.
        says (str): What was found, with numbers.
        do (str, default ""): What to do about it; "" if nothing needs to be done.

    Example:
        >>> import palate
        >>> found = palate.check({"user": ["ann", "bob"], "item": ["tea", "tea"], "rating": [5, 5]})
        >>> found["scale"].severity, found["scale"].says
        ('problem', 'Every rating is 5.')
    """

    name: str
    severity: Severity
    says: str
    do: str = ""

    def _repr_html_(self) -> str:
        return html.page("", findings_table([self]))


def findings_table(findings: Sequence[Finding]) -> html.Raw:
    """Findings as a table: how serious each is, what was found, and what to do."""
    rows = [(one.name, SIGNS[one.severity] + one.severity, one.says, one.do) for one in findings]
    return html.table(rows, head=("looked at", "", "found", "what to do"), wide=(2, 3))


def find(ratings: Ratings) -> tuple[Finding, ...]:
    """All findings, in a fixed order."""
    if len(ratings) == 0:
        empty = Finding("size", "problem", "There are no ratings.", "Look at the file and at its columns.")
        found: list[Finding | None] = [_columns(ratings), empty, _bad_rows(ratings), _tables(ratings)]
    else:
        pairs = joined(ratings) if ratings.is_implicit else ratings
        found = [look(pairs) for look in _looks(pairs)] + [_events(ratings, pairs)]
    return tuple(finding for finding in found if finding)


def _looks(ratings: Ratings) -> list[Callable[[Ratings], Finding | None]]:
    by_kind: tuple[Callable[[Ratings], Finding | None], ...] = (_scale, _missing)
    if ratings.is_implicit:
        by_kind = (_counts, _ratings_as_counts, _repeats, _chosen_by_all, _robots)
    return [
        *(_columns, _size, _density, _bad_rows, _left_out, _duplicates, _tables),
        *(partial(_without_row, what="user"), partial(_without_row, what="item")),
        *by_kind,
        *(partial(_labels, what="user"), partial(_labels, what="item")),
        _constant_raters,
        *(partial(_single, what="user"), partial(_single, what="item")),
        *(partial(_unrated, what="user"), partial(_unrated, what="item")),
        *(_cold, _times),
    ]


# ---- what was taken for what


def _columns(ratings: Ratings) -> Finding | None:
    """Which column became what; a file that was misread is seen here."""
    taken = ratings.report.taken
    return Finding("columns", "info", f"{taken}.") if taken else None


# ---- how many


def _size(ratings: Ratings) -> Finding:
    n, users, items = len(ratings), ratings.n_users, ratings.n_items
    says = (
        f"{n:,} {_noun(ratings)}s, {users:,} users, {items:,} items: {n / users:.1f} a user, {n / items:.1f} an item."
    )
    if min(users, items) == 1:
        only = "user" if users == 1 else "item"
        return Finding(
            "size", "problem", says, f"With one {only} there is nothing to compare; check the {only} column."
        )
    if n < 3 * (users + items):
        expect = "to popularity" if ratings.is_implicit else "to the biases, expect wide intervals"
        do = f"Few for this many users and items: factors will add little {expect}."
        return Finding("size", "warning", says, do)
    return Finding("size", "info", says)


def _noun(ratings: Ratings) -> str:
    return "choice" if ratings.is_implicit else "rating"


def _density(ratings: Ratings) -> Finding:
    density = len(ratings) / (ratings.n_users * ratings.n_items)
    says = f"{density:.3%} of all (user, item) pairs are {'chosen' if ratings.is_implicit else 'rated'}."
    if density == 1 and min(ratings.n_users, ratings.n_items) > 1:
        do = f"Every pair has a {_noun(ratings)}: no item is left to recommend."
        return Finding("density", "warning", says, do)
    return Finding("density", "info", says)


# ---- what reading left out


def _bad_rows(ratings: Ratings) -> Finding | None:
    report = ratings.report
    total = sum(report.bad_rows.values())
    if not total:
        return None
    kinds = "; ".join(f"{count:,} {reason}" for reason, count in report.bad_rows.items())
    share = total / max(report.rows_read, 1)
    severity: Severity = "problem" if share > 0.05 or len(ratings) == 0 else "warning"
    examples = f" For example {' | '.join(report.bad_examples)}" if report.bad_examples else ""
    says = f"{total:,} of {report.rows_read:,} rows ({share:.2%}) cannot be used: {kinds}."
    return Finding("bad rows", severity, says, f"Correct them, or go without them.{examples}")


def _left_out(ratings: Ratings) -> Finding | None:
    """Rows that say that there is no rating; they are no error."""
    kinds = "; ".join(f"{count:,} ({reason})" for reason, count in ratings.report.left_out.items())
    return Finding("left out", "info", f"Rows that hold no rating: {kinds}.") if kinds else None


def _duplicates(ratings: Ratings) -> Finding | None:
    report = ratings.report
    if not report.duplicates:
        return None
    says = (
        f"{report.duplicates:,} rows repeat an earlier (user, item); {report.contradictions:,} pairs have ratings that "
        "contradict each other."
    )
    if not report.contradictions:
        return Finding("duplicates", "info", says)
    do = 'By default the latest is kept; duplicates="mean" averages them, duplicates="error" raises.'
    return Finding("duplicates", "warning", says, do)


def _tables(ratings: Ratings) -> Finding | None:
    """What was left out of the user and item tables. It changes no rating."""
    notes = ratings.report.table_notes
    return Finding("tables", "info", f"{'; '.join(notes)}.") if notes else None


def _without_row(ratings: Ratings, what: str) -> Finding | None:
    """How many items have no row in their table, and whether only their spelling separates them from one."""
    n, of, why = ratings.report.lacking.get(what, (0, 0, ""))
    if not n:
        return None
    severity: Severity = "warning" if why or n > MAX_SHARE_WITHOUT_ROW * of else "info"
    do = why or ("Are these their ids? They have no attributes and no title." if severity == "warning" else "")
    return Finding(f"{what} table", severity, f"{n:,} of {of:,} {what}s have no row in the table.", do)


# ---- the values of explicit ratings


def _scale(ratings: Ratings) -> Finding:
    distinct = np.unique(ratings.values).astype(np.float64)
    low, high = ratings.range
    if len(distinct) == 1:
        do = 'Equal ratings say nothing about taste. If these are likes, visits or purchases, pass kind="implicit".'
        return Finding("scale", "problem", f"Every rating is {low:g}.", do)
    step = step_of(distinct)
    steps = f" in steps of {step:g}" if step else ", without a common step"
    mean = ratings.values.mean(dtype=np.float64)
    says = f"{len(distinct):,} different values from {low:g} to {high:g}{steps}, mean {mean:.3g}."
    advice = _scale_advice(ratings, distinct)
    return Finding("scale", "warning" if advice else "info", says, advice)


def _scale_advice(ratings: Ratings, distinct: NDArray[np.float64]) -> str:
    if look_like_counts(ratings):
        return 'A long tail, as counts have. If these are counts, pass kind="implicit"; otherwise take logarithms.'
    if max(abs(distinct[0]), abs(distinct[-1])) > 1e6:
        return "Very large values: rescale them, for example to 0..1."
    return ""


def look_like_counts(ratings: Ratings) -> bool:
    """True if ratings have the long tail of counts: none below 0, the largest over 50 times the median."""
    if ratings.is_implicit or len(ratings) == 0 or ratings.values.min() < 0:
        return False
    values = ratings.values[~np.isin(ratings.values, apart_in(ratings.values))]
    return len(values) > 0 and bool(values.max() > 50 * max(float(np.median(values)), 1.0))


def _missing(ratings: Ratings) -> Finding | None:
    """Values that stand apart from the others, as those that mean "not rated" do: -1, 0, 99."""
    apart = values_apart(ratings)
    if not apart:
        return None
    others = ratings.values[~np.isin(ratings.values, apart)]
    shares = [f"{(ratings.values == value).mean():.0%} of the ratings are {value:g}" for value in apart]
    says = f"{' and '.join(shares)}, the others from {others.min():g} to {others.max():g}."
    option = f"{apart[0]:g}" if len(apart) == 1 else f"[{', '.join(f'{value:g}' for value in apart)}]"
    which = " and ".join(f"{value:g}" for value in apart)
    return Finding("missing", "warning", says, f"If {which} means 'not rated', leave those rows out: missing={option}.")


# ---- the counts of implicit ratings


def _counts(ratings: Ratings) -> Finding:
    """The counts, and whether a few dominate: one user with most of them, or a long tail."""
    counts = ratings.weights
    if counts is None:
        return Finding("counts", "info", "There are none: only who chose what is known.")
    total = counts.sum(dtype=np.float64)
    median, largest = float(np.median(counts)), float(counts.max())
    says = f"from {counts.min():g} to {largest:g}, median {median:g}, {total:,.0f} in all."
    of_user = np.bincount(ratings.user_codes, counts, minlength=ratings.n_users)
    if of_user.max() > MAX_SHARE_OF_COUNTS * total and np.count_nonzero(of_user) > 3:
        user = plain_label(ratings.user_vocabulary.labels[of_user.argmax()])
        says += f" User {user!r} has {of_user.max() / total:.0%} of them."
        return Finding("counts", "warning", says, f"Look at who that user is. {CONFIDENCE_ADVICE}")
    if largest > 50 * max(median, 1.0):
        return Finding("counts", "info", says, f"A long tail. {CONFIDENCE_ADVICE}")
    return Finding("counts", "info", says)


def _ratings_as_counts(ratings: Ratings) -> Finding | None:
    """A warning if counts look like ratings: 3 to 20 values up to 10, the lowest neither typical nor frequent."""
    if ratings.weights is None:
        return None
    values, times = np.unique(ratings.weights, return_counts=True)
    if not 3 <= len(values) <= 20 or values[-1] > 10 or times.argmax() == 0 or times[0] > 0.3 * times.sum():
        return None
    mode = values[times.argmax()]
    says = f"The counts are {len(values)} values from {values[0]:g} to {values[-1]:g}, most often {mode:g}."
    do = 'If these are ratings, pass kind="explicit"; ratings.likes(at_least=4) then keeps only what users liked.'
    return Finding("kind", "warning", says, do)


def _repeats(ratings: Ratings) -> Finding | None:
    summed = ratings.report.summed
    says = f"{summed:,} rows were added to the count of their (user, item)."
    return Finding("repeats", "info", says) if summed else None


def _events(ratings: Ratings, pairs: Ratings) -> Finding | None:
    """Repeated pairs that stay events of their own; all other looks count a pair once."""
    n = len(ratings) - len(pairs)
    says = f"{n:,} of {len(ratings):,} rows repeat a (user, item), each an event of its own."
    do = "Recipes that know no order take a pair once, with the sum of its counts; so do these findings."
    return Finding("events", "info", says, do) if n else None


def _chosen_by_all(ratings: Ratings) -> Finding | None:
    """Items that say nothing about taste, because nearly all users chose them."""
    users = int(np.count_nonzero(ratings.by_user().counts))
    share = ratings.by_item().counts / users
    n = int((share >= MAX_SHARE_OF_USERS).sum())
    if not n or users < 10:
        return None
    item = plain_label(ratings.item_vocabulary.labels[share.argmax()])
    says = f"{n:,} items were chosen by {MAX_SHARE_OF_USERS:.0%} of the users or more, {item!r} by {share.max():.0%}."
    do = "A default or a gift? They say nothing about taste and rank first for all others: leave them out of the lists."
    return Finding("items of all", "warning", says, do)


def _robots(ratings: Ratings) -> Finding | None:
    """Users with more choices than a person makes: half the catalogue, or 50 times the median (and 1,000)."""
    counts = ratings.by_user().counts
    limit = min(0.5 * ratings.n_items, max(50 * float(np.median(counts[counts > 0])), 1000.0))
    n = int((counts > limit).sum())
    if not n or ratings.n_items < 50 or ratings.n_users < 10:
        return None
    user, largest = plain_label(ratings.user_vocabulary.labels[counts.argmax()]), int(counts.max())
    says = f"{n:,} users chose more than {limit:,.0f} items, {user!r} {largest:,} of them."
    do = "Robots, shops or shared accounts? They link every item to every other: leave them out if they are not people."
    return Finding("huge histories", "warning", says, do)


# ---- users and items


def _labels(ratings: Ratings, what: str) -> Finding | None:
    """Strings that are probably one label, spelled in two ways; or numbers among names."""
    vocabulary = ratings.user_vocabulary if what == "user" else ratings.item_vocabulary
    if vocabulary.kind == "integer":
        return None
    labels = vocabulary.labels.tolist()
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(label.strip().casefold().removesuffix(".0").lstrip("0"), []).append(label)
    alike = [group for group in groups.values() if len(group) > 1]
    numeric = sum(label.isascii() and label.isdigit() for label in labels)
    name = f"{what} labels"
    if alike:
        apart = "blanks, case or leading zeros, or in a closing .0"
        says = f"{len(alike):,} groups of {what}s differ only in {apart}, like {alike[0][:3]}."
        do = "They count as different labels: if they are the same, spell them alike in the source."
        return Finding(name, "warning", says, do)
    if 0 < numeric < len(labels):
        shortest = min((label for label in labels if not (label.isascii() and label.isdigit())), key=len)
        says = f"{numeric:,} {what}s are numbers and {len(labels) - numeric:,} are not, like {shortest[:40]!r}."
        rare = min(numeric, len(labels) - numeric) < 0.01 * len(labels)
        do = "Two kinds of ids in one column? Look at the rare kind." if rare else ""
        return Finding(name, "warning" if rare else "info", says, do)
    return None


def _constant_raters(ratings: Ratings) -> Finding | None:
    """Users with 5 ratings or more that are all equal."""
    rows = ratings.by_user()
    active = rows.counts >= 5
    filled = np.flatnonzero(rows.counts)
    starts = rows.indptr[filled]
    constant = np.zeros(rows.n_rows, bool)
    constant[filled] = np.maximum.reduceat(rows.values, starts) == np.minimum.reduceat(rows.values, starts)
    n_constant, n_active = int((constant & active).sum()), int(active.sum())
    if not n_constant or ratings.is_implicit or len(np.unique(ratings.values)) == 1:
        return None
    says = f"{n_constant:,} of the {n_active:,} users with 5 ratings or more always give the same value."
    do = "They show which items they chose, but not which they prefer. Robots, or a default value?"
    severity: Severity = "warning" if n_constant > 0.05 * n_active else "info"
    return Finding("constant raters", severity, says, do)


def _counts_of(ratings: Ratings, what: str) -> NDArray[np.int64]:
    """Number of ratings of each user, or of each item."""
    return (ratings.by_user() if what == "user" else ratings.by_item()).counts


def _single(ratings: Ratings, what: str) -> Finding | None:
    """Users or items with one rating."""
    counts = _counts_of(ratings, what)
    n = int((counts == 1).sum())
    if not n:
        return None
    noun = _noun(ratings)
    says = f"{n:,} of {len(counts):,} {what}s ({n / len(counts):.1%}) have one {noun} only."
    do = "Their predictions stay near the averages, with wide intervals. Nothing needs to be done."
    if ratings.is_implicit:
        do = "Their answers depend on that one alone, and a split may leave nothing of them to learn from."
    return Finding(f"one-{noun} {what}s", "warning" if n > len(counts) / 2 else "info", says, do)


def _unrated(ratings: Ratings, what: str) -> Finding | None:
    """Users or items without a rating."""
    counts = _counts_of(ratings, what)
    n = int((counts == 0).sum())
    if not n:
        return None
    says = f"{n:,} of {len(counts):,} {what}s have no {_noun(ratings)} here, as after a split."
    return Finding(f"unrated {what}s", "info", says)


def _cold(ratings: Ratings) -> Finding:
    """The expected share of test rows whose user or item has no rating in train, under a random split."""
    n_user = ratings.by_user().counts[ratings.user_codes]
    n_item = ratings.by_item().counts[ratings.item_codes]
    warm = (1 - TEST_SHARE ** (n_user - 1.0)) * (1 - TEST_SHARE ** (n_item - 1.0))
    cold = float(1 - warm.mean())
    says = (
        f"Under a random {1 - TEST_SHARE:.0%}/{TEST_SHARE:.0%} split, {cold:.2%} of test rows have a cold user or item."
    )
    if cold <= 0.05:
        return Finding("cold rows", "info", says)
    do = "Evaluate those apart, or split with split_random(..., keep_all=True)"
    do += "." if ratings.is_implicit else ". Attributes of users and items help to predict them."
    return Finding("cold rows", "warning", says, do)


# ---- times


def _times(ratings: Ratings) -> Finding | None:
    """The first and the last time, and whether they can be right."""
    times = ratings.times
    if times is None:
        return None
    first, last = int(times.min()), int(times.max())
    says = f"from {_date(first)} to {_date(last)}."
    if first == last:
        do = "Equal times cannot order them: leave them out with time=False."
        return Finding("times", "warning", f"Every {_noun(ratings)} has the time {first}.", do)
    if last > 4e10:
        do = "Too large for seconds since 1970: milliseconds? Splits and duplicates need only their order."
        return Finding("times", "warning", f"from {first} to {last}.", do)
    if last > datetime.now(UTC).timestamp() + 86400 or first <= 0:
        do = "Some times lie in the future or before 1970; a split by time will misplace them."
        return Finding("times", "warning", says, do)
    return Finding("times", "info", says)


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)
