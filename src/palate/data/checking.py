"""The data doctor: what is odd about some ratings, what it means, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.vocabulary import Vocabulary
from palate.errors import LabelTypeError

Severity = Literal["info", "warning", "problem"]
TEST_SHARE = 0.1  # of the random split whose cold rows are foretold
NEARLY_ALL, MOST_OF_ALL = 0.9, 0.5  # shares: of the users who chose an item, of all counts that are one user's
DAMPEN = 'confidence="relative", the default, or "equal" keep large counts from ruling.'
MARKS = {"info": " ", "warning": "!", "problem": "X"}


@dataclass(frozen=True)
class Finding:
    """One thing found: what it says, with numbers, and what to do about it ("" when nothing need be done)."""

    name: str
    severity: Severity
    says: str
    do: str = ""


@dataclass(frozen=True)
class Check:
    """All findings, in a fixed order; printed as a text, or `to_dict()` for JSON."""

    findings: tuple[Finding, ...]
    source: str = ""

    @property
    def worst(self) -> Severity:
        """The severest of all: "info", "warning" or "problem"."""
        order: tuple[Severity, ...] = ("problem", "warning")
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in order if severity in found), "info")

    def __getitem__(self, name: str) -> Finding:
        """The finding of a name; KeyError names those there are."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are {', '.join(finding.name for finding in self.findings)}")

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: source, worst, and every finding as a dict."""
        return {
            "source": self.source,
            "worst": self.worst,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [f"Check of {self.source}"] if self.source else []
        for finding in self.findings:
            lines.append(f"{MARKS[finding.severity]} {finding.name:<{width}}  {finding.says}")
            if finding.do:
                lines.append(f"  {'':<{width}}  -> {finding.do}")
        return "\n".join(lines)


def check(source: Any, **options: Any) -> Check:
    """Look at ratings, or at anything `read` takes (with its options), and say what is odd.

    Bad rows and duplicates are known only of a source read here, or of ratings that still carry their report. Raises
    DataError when the source cannot be read at all.

    >>> found = check({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 5]})
    >>> found["scale"].says
    '2 different values from 3 to 5 in steps of 2, mean 4.33.'
    """
    if isinstance(source, Ratings):
        return _checked(source)
    try:
        return _checked(read(source, **{"on_bad_rows": "report", **options}))
    except LabelTypeError as error:
        return Check((Finding("labels", "problem", str(error), "Give all ids of a column one type."),))


def _checked(ratings: Ratings) -> Check:
    report = ratings.report
    findings = [_bad_rows(ratings)]
    if len(ratings) == 0:
        findings.insert(0, Finding("size", "problem", "There are no ratings.", "Look at the file and at its columns."))
        findings.append(_tables(ratings))
        return Check(tuple(found for found in findings if found), report.source)
    measure = (_counts, _ratings_as_counts, _repeats, _chosen_by_all, _robots) if ratings.is_implicit else (_scale,)
    findings = [
        _size(ratings),
        _density(ratings),
        _bad_rows(ratings),
        _duplicates(ratings),
        _tables(ratings),
        *(look(ratings) for look in measure),
        *(_labels(vocabulary) for vocabulary in (ratings.user_vocabulary, ratings.item_vocabulary)),
        _constant_raters(ratings),
        *(_single(ratings, what) for what in ("user", "item")),
        *(_unrated(ratings, what) for what in ("user", "item")),
        _cold(ratings),
        _times(ratings),
    ]
    return Check(tuple(found for found in findings if found), report.source)


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
    return Finding("bad rows", severity, says, f"Correct them or do without.{examples}")


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
    do = 'By default the latest counts; duplicates="mean" averages them, duplicates="error" refuses them.'
    return Finding("duplicates", "warning", says, do)


def _tables(ratings: Ratings) -> Finding | None:
    """What was left out of the tables of users and items; it changes no rating."""
    notes = ratings.report.table_notes
    return Finding("tables", "info", f"{'; '.join(notes)}.") if notes else None


def _scale(ratings: Ratings) -> Finding:
    distinct = np.unique(ratings.values).astype(np.float64)
    low, high = ratings.range
    if len(distinct) == 1:
        do = 'No taste to learn from; if these are likes, visits or purchases: did you mean kind="implicit"?'
        return Finding("scale", "problem", f"Every rating is {low:g}.", do)
    step = _step(distinct)
    steps = f" in steps of {step:g}" if step else ", without a common step"
    mean = ratings.values.mean(dtype=np.float64)
    says = f"{len(distinct):,} different values from {low:g} to {high:g}{steps}, mean {mean:.3g}."
    advice = _scale_advice(ratings, distinct, step)
    return Finding("scale", "warning" if advice else "info", says, advice)


def _scale_advice(ratings: Ratings, distinct: NDArray[np.float64], step: float | None) -> str:
    if look_like_counts(ratings):
        return 'A long tail: counts rather than ratings? Did you mean kind="implicit"? Otherwise take logarithms.'
    zeros = float((ratings.values == 0).mean())
    if distinct[0] == 0 and step == 1 and len(distinct) > 2 and zeros > 0.3:
        return f"{zeros:.0%} are 0: if 0 means 'not rated', leave those rows out."
    if max(abs(distinct[0]), abs(distinct[-1])) > 1e6:
        return "Very large values: rescale them, for example to 0..1."
    return ""


def look_like_counts(ratings: Ratings) -> bool:
    """Whether ratings have the long tail of counts: none below 0, the largest 50 times the usual one."""
    if ratings.is_implicit or len(ratings) == 0 or ratings.values.min() < 0:
        return False
    return bool(ratings.values.max() > 50 * max(float(np.median(ratings.values)), 1.0))


def _counts(ratings: Ratings) -> Finding:
    """How often was chosen, and whether few decide: a user with most of it, or a long tail."""
    counts = ratings.weights
    if counts is None:
        return Finding("counts", "info", "There are none: who chose what is all that is known.")
    total = counts.sum(dtype=np.float64)
    middle, largest = float(np.median(counts)), float(counts.max())
    says = f"from {counts.min():g} to {largest:g}, median {middle:g}, {total:,.0f} in all."
    of_user = np.bincount(ratings.user_codes, counts, minlength=ratings.n_users)
    if of_user.max() > MOST_OF_ALL * total and np.count_nonzero(of_user) > 3:
        user = ratings.user_vocabulary.labels[of_user.argmax()]
        says += f" User {user!r} has {of_user.max() / total:.0%} of them."
        return Finding("counts", "warning", says, f"Look at what that user is. {DAMPEN}")
    if largest > 50 * max(middle, 1.0):
        return Finding("counts", "info", says, f"A long tail. {DAMPEN}")
    return Finding("counts", "info", says)


def _ratings_as_counts(ratings: Ratings) -> Finding | None:
    """Whether counts look like ratings: few values in even steps up to 10, of which the lowest is not the usual one."""
    if ratings.weights is None:
        return None
    values, times = np.unique(ratings.weights, return_counts=True)
    if not 3 <= len(values) <= 20 or values[-1] > 10 or times.argmax() == 0 or times[0] > 0.3 * times.sum():
        return None
    usual = values[times.argmax()]
    says = f"The counts are {len(values)} values from {values[0]:g} to {values[-1]:g}, most often {usual:g}."
    do = 'Ratings? Did you mean kind="explicit"? Its likes(at_least=4) then are what is liked, not all that is rated.'
    return Finding("kind", "warning", says, do)


def _repeats(ratings: Ratings) -> Finding | None:
    summed = ratings.report.summed
    says = f"{summed:,} rows were added to the count of their (user, item)."
    return Finding("repeats", "info", says) if summed else None


def _chosen_by_all(ratings: Ratings) -> Finding | None:
    """Items that say nothing about anybody, since nearly everybody chose them."""
    users = int(np.count_nonzero(ratings.by_user().counts))
    share = ratings.by_item().counts / users
    n = int((share >= NEARLY_ALL).sum())
    if not n or users < 10:
        return None
    item = ratings.item_vocabulary.labels[share.argmax()]
    says = f"{n:,} items were chosen by {NEARLY_ALL:.0%} of the users or more, {item!r} by {share.max():.0%}."
    do = (
        "A default or a gift? They tell nothing of taste, and come first for all others: leave them out of the answers."
    )
    return Finding("items of all", "warning", says, do)


def _robots(ratings: Ratings) -> Finding | None:
    """Users with more choices than a person makes: half the catalogue, or 50 times as many as usual."""
    counts = ratings.by_user().counts
    limit = min(0.5 * ratings.n_items, max(50 * float(np.median(counts[counts > 0])), 1000.0))
    n = int((counts > limit).sum())
    if not n or ratings.n_items < 50 or ratings.n_users < 10:
        return None
    user, most = ratings.user_vocabulary.labels[counts.argmax()], int(counts.max())
    says = f"{n:,} users chose more than {limit:,.0f} items, {user!r} {most:,} of them."
    do = "Robots, shops or shared accounts? They tie everything to everything: leave them out if they are no persons."
    return Finding("huge histories", "warning", says, do)


def _step(distinct: NDArray[np.float64]) -> float | None:
    """The largest step of which all values are whole multiples apart, to float32's precision; None without one."""
    if len(distinct) > 1000:
        return 1.0 if (distinct == np.floor(distinct)).all() else None
    gaps = np.diff(distinct)
    offsets = distinct - distinct[0]
    for parts in range(1, 11):
        step = float(f"{gaps.min() / parts:.5g}")
        multiples = offsets / step
        if np.abs(multiples - np.round(multiples)).max() < 1e-4 and multiples.max() < 1e6:
            return step
    return None


def _labels(vocabulary: Vocabulary) -> Finding | None:
    """Strings that differ only in blanks, case or leading zeros: probably one and the same."""
    if vocabulary.kind == "integer":
        return None
    labels = vocabulary.labels.tolist()
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(label.strip().casefold().lstrip("0"), []).append(label)
    twins = [group for group in groups.values() if len(group) > 1]
    numeric = sum(label.isascii() and label.isdigit() for label in labels)
    name, what = f"{vocabulary.what} labels", vocabulary.what
    if twins:
        says = f"{len(twins):,} groups of {what}s differ only in blanks, case or leading zeros, like {twins[0][:3]}."
        return Finding(
            name, "warning", says, "They count as different: if they are not, make them alike in the source."
        )
    if 0 < numeric < len(labels):
        odd = min((label for label in labels if not (label.isascii() and label.isdigit())), key=len)
        says = f"{numeric:,} {what}s are numbers and {len(labels) - numeric:,} are not, like {odd[:40]!r}."
        rare = min(numeric, len(labels) - numeric) < 0.01 * len(labels)
        do = "Two kinds of ids in one column? Look at the rare kind." if rare else ""
        return Finding(name, "warning" if rare else "info", says, do)
    return None


def _constant_raters(ratings: Ratings) -> Finding | None:
    rows = ratings.by_user()
    busy = rows.counts >= 5
    filled = np.flatnonzero(rows.counts)
    starts = rows.indptr[filled]
    constant = np.zeros(rows.n_rows, bool)
    constant[filled] = np.maximum.reduceat(rows.values, starts) == np.minimum.reduceat(rows.values, starts)
    n_constant, n_busy = int((constant & busy).sum()), int(busy.sum())
    if not n_constant or ratings.is_implicit or len(np.unique(ratings.values)) == 1:
        return None
    says = f"{n_constant:,} of the {n_busy:,} users with 5 ratings or more always give the same value."
    do = "They tell which items they chose, but not which they prefer; many of them may be robots or a default value."
    severity: Severity = "warning" if n_constant > 0.05 * n_busy else "info"
    return Finding("constant raters", severity, says, do)


def _counts_of(ratings: Ratings, what: str) -> NDArray[np.int64]:
    """Ratings of each user, or of each item."""
    return (ratings.by_user() if what == "user" else ratings.by_item()).counts


def _single(ratings: Ratings, what: str) -> Finding | None:
    counts = _counts_of(ratings, what)
    n = int((counts == 1).sum())
    if not n:
        return None
    noun = _noun(ratings)
    says = f"{n:,} of {len(counts):,} {what}s ({n / len(counts):.1%}) have one {noun} only."
    do = "Their predictions lean on the averages, with a wide interval; nothing need be done."
    if ratings.is_implicit:
        do = "What they get leans on that one alone, and in a split nothing may be left of them to learn from."
    return Finding(f"one-{noun} {what}s", "warning" if n > len(counts) / 2 else "info", says, do)


def _unrated(ratings: Ratings, what: str) -> Finding | None:
    counts = _counts_of(ratings, what)
    n = int((counts == 0).sum())
    if not n:
        return None
    none = f"no {_noun(ratings)} here (they are known from elsewhere, as after a split)"
    says = f"{n:,} of {len(counts):,} {what}s have {none}."
    return Finding(f"unrated {what}s", "info", says)


def _cold(ratings: Ratings) -> Finding:
    """The expected share of test rows whose user or item has no row left in train, under a random split."""
    n_user = ratings.by_user().counts[ratings.user_codes]
    n_item = ratings.by_item().counts[ratings.item_codes]
    warm = (1 - TEST_SHARE ** (n_user - 1.0)) * (1 - TEST_SHARE ** (n_item - 1.0))
    cold = float(1 - warm.mean())
    says = (
        f"Under a random {1 - TEST_SHARE:.0%}/{TEST_SHARE:.0%} split, {cold:.2%} of test rows have a cold user or item."
    )
    if cold <= 0.05:
        return Finding("cold rows", "info", says)
    do = "Judge those apart, or split so that every user and item stays in train"
    do += "." if ratings.is_implicit else "; features of users and items help them."
    return Finding("cold rows", "warning", says, do)


def _times(ratings: Ratings) -> Finding | None:
    times = ratings.times
    if times is None:
        return None
    first, last = int(times.min()), int(times.max())
    says = f"from {_date(first)} to {_date(last)}."
    if first == last:
        return Finding(
            "times", "warning", f"Every {_noun(ratings)} has the time {first}.", "It cannot order them; time=False."
        )
    if last > 4e10:
        do = "Too large for seconds since 1970: milliseconds? Order is all that counts for splits and duplicates."
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
