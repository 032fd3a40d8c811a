"""Matching: the items of one person's file and those of a model, which another source named.

An item is matched by its label, then by ISBN or IMDb id, then by title and year or author. What fits several items, or
contradicts, is not matched; the report lists it. `match` also brings the person's ratings onto the model's scale.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from palate.answers.own_ratings import export_of_ratings, for_model, labels_of_rows
from palate.answers.works import Work, isbn13, works_of
from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.reading.personal import has_users
from palate.data.vocabulary import Label, plain_label
from palate.errors import DataError, OptionError
from palate.models.model import Model
from palate.showing import html, texts
from palate.showing.texts import Printed

PERSON = "me"
N_LISTED = 10  # items that a report lists of each kind
SHORTENED = "title without its subtitle"
UNCHECKED = "title, unchecked"
PARTS = ("ids", "whole", "names", "bare", "others")  # of a work, by which it is found


@dataclass(frozen=True)
class Found:
    """Which items of the model an item of a file fits, and by what. It is taken if it fits one, without doubt."""

    by: str
    codes: list[int]
    is_doubtful: bool = False

    @property
    def code(self) -> int:
        """The item that is taken; -1 for none."""
        return self.codes[0] if len(self.codes) == 1 and not self.is_doubtful else -1


@dataclass(frozen=True, repr=False)
class Match(Printed):
    """One person's ratings by the labels of a model, and how they were matched. Prints as a report.

    Attributes:
        ratings (dict or list): What `rec.fold_in` takes: {item: rating} on the model's scale; for a model of implicit
            feedback a list of items, or {item: count}.
        seen (list of labels): All items that were matched, rated or not: what not to recommend.
        n_items (int): Items in the file.
        by (dict): What matched them (label, ISBN, title and year, ...) -> number of items.
        unmatched (tuple of str): Titles of the items that are not in the model, or cannot be known to be.
        ambiguous (dict): Title -> titles of the several items of the model that it fits; none was taken.
        assumed (dict): Title -> the model's title, where a title without its subtitle was compared, or where only one
            of the two sides has a year or an author.
        scale (str): How ratings were brought onto the model's scale, or which of them are choices.
        read (str): What was left out while the file was read.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> found = rec.match({"item": ["i2", "i7", "tea"], "rating": [5, 1, 4]})
        >>> found.ratings, found.unmatched
        ({'i2': 5.0, 'i7': 1.0}, ('tea',))
    """

    ratings: Any
    seen: list[Label]
    n_items: int
    by: dict[str, int]
    unmatched: tuple[str, ...] = ()
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    scale: str = ""
    read: str = ""

    @property
    def n_matched(self) -> int:
        """The number of items of the file that were matched."""
        return sum(self.by.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON; the lists are whole.

        Returns:
            dict: n_items, n_matched, n_used, by, unmatched, ambiguous, assumed, scale and read.
        """
        return {
            "n_items": self.n_items,
            "n_matched": self.n_matched,
            "n_used": len(self.ratings),
            "by": self.by,
            "unmatched": list(self.unmatched),
            "ambiguous": {title: list(titles) for title, titles in self.ambiguous.items()},
            "assumed": self.assumed,
            "scale": self.scale,
            "read": self.read,
        }

    def _lines(self) -> list[str]:
        by = ", ".join(f"{n:,} by {what}" for what, n in self.by.items())
        lines = [f"{self.n_matched:,} of {self.n_items:,} items matched{f': {by}' if by else ''}."]
        lines += [f"{len(self.ratings):,} of them used: {self.scale}."] if self.scale else []
        lines += [self.read] if self.read else []
        assumed = [f"{title!r} as {taken!r}" for title, taken in self.assumed.items()]
        ambiguous = [f"{title!r} fits {', '.join(map(repr, fits[:3]))}" for title, fits in self.ambiguous.items()]
        lines += _listed("by title alone or without its subtitle", assumed)
        lines += _listed("ambiguous, not taken", ambiguous)
        return [*lines, *_listed("not in the model", [repr(title) for title in self.unmatched])]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        given = self.ratings if isinstance(self.ratings, Mapping) else dict.fromkeys(self.ratings, "")
        rows = [
            (texts.name(item), value if value == "" else f"{value:g}") for item, value in list(given.items())[:N_LISTED]
        ]
        table = html.table(rows, head=("item", "rating or count"), numbers=(1,), n_rows=len(given))
        return html.page(head, html.notes(*lines), table)


def _listed(what: str, texts: Sequence[str]) -> list[str]:
    """A line that lists the first texts; none without any."""
    more = f"; and {len(texts) - N_LISTED:,} more" if len(texts) > N_LISTED else ""
    return [f"{len(texts):,} {what}: {'; '.join(texts[:N_LISTED])}{more}."] if texts else []


def match(model: Model, source: Any, options: Mapping[str, Any]) -> Match:
    """Match one person's file with the items of a model; see Recommender.match."""
    if "kind" in options:
        raise OptionError("match finds the kind by itself: leave out kind=.")
    rated, chosen = _read(source, options, model)
    finder = _Finder.of(model)
    found = _matched(model, finder, rated, chosen, labels_count="item" in options)
    if chosen is None or (artists := _by_artist(chosen)) is None:
        return found
    by_artist = _matched(model, finder, None, artists, labels_count=False)
    if by_artist.n_matched * found.n_items <= found.n_matched * by_artist.n_items:
        return found
    return replace(by_artist, scale=f"tracks are taken together by artist, and {by_artist.scale}")


def _matched(
    model: Model, finder: _Finder, rated: Ratings | None, chosen: Ratings | None, *, labels_count: bool
) -> Match:
    """Match what a person rated and chose. labels_count: labels are the model's, even if a service made the file."""
    sources = [ratings for ratings in (rated, chosen) if ratings is not None]
    works = _works(sources)
    labels_count = labels_count or export_of_ratings(sources[0]) is None
    found = _without_conflicts(works, [finder.find(work, labels_count=labels_count) for work in works])
    pairs = list(zip(works, found, strict=True))
    taken = {work.label: one.code for work, one in pairs if one.code >= 0}
    values, scale = for_model(model, rated, chosen, taken)
    labels = [plain_label(label) for label in model.item_vocabulary.labels.tolist()]
    ratings = {labels[code]: value for code, value in values.items()}
    return Match(
        list(ratings) if None in ratings.values() else ratings,
        [labels[code] for code in dict.fromkeys(taken.values())],
        len(works),
        dict(Counter(one.by for one in found if one.code >= 0)),
        tuple(work.title for work, one in pairs if not one.codes),
        {work.title: tuple(map(finder.shown, one.codes)) for work, one in pairs if one.codes and one.code < 0},
        {work.title: finder.shown(one.code) for work, one in pairs if finder.is_assumed(work, one)},
        scale,
        str(sources[0].report) if sources[0].report.bad_rows or sources[0].report.left_out else "",
    )


# ---- reading the file ------------------------------------------------------------------------------------------------


def _read(source: Any, options: Mapping[str, Any], model: Model) -> tuple[Ratings | None, Ratings | None]:
    """(what the person rated, what the person chose, rated or not); None where the file does not say.

    Raises DataError for a file of several users, and for one without ratings if the model needs them.
    """
    if isinstance(source, Ratings):
        _check_alone(source)
        if source.is_implicit and model.kind == "explicit":
            raise _no_ratings(source)
        return (None, source) if source.is_implicit else (source, None)
    opened = _reopened(source)
    whole = {"on_bad_rows": "report", **({} if has_users(opened(), options) else {"user": PERSON}), **options}
    try:
        rated = read(opened(), **whole)
    except DataError as error:
        chosen = _chosen(opened(), whole, error)
        _check_alone(chosen)
        if model.kind == "explicit":
            raise error if export_of_ratings(chosen) is None else _no_ratings(chosen) from None
        return None, chosen
    _check_alone(rated)
    chosen = _chosen(opened(), {**whole, "rating": False}, None)
    if len(rated):
        return rated, chosen
    if model.kind == "explicit" or chosen is None:
        raise DataError(f"no row of {_name(rated)} has a rating: {rated.report}")
    return None, chosen


def _reopened(source: Any) -> Callable[[], Any]:
    """A function that gives the source as often as it is read: an open file is read into memory."""
    if not hasattr(source, "read"):
        return lambda: source
    data = source.read()
    content = data.encode() if isinstance(data, str) else data
    return lambda: io.BytesIO(content)


def _chosen(source: Any, options: Mapping[str, Any], otherwise: DataError | None) -> Any:
    """What a person chose; None if the file cannot be read so, or the error that is given then."""
    try:
        return read(source, **{**options, "kind": "implicit"})
    except DataError:
        if otherwise is not None:
            raise otherwise from None
        return None


def _no_ratings(chosen: Ratings) -> DataError:
    what = chosen.report.how.get("file", "a list of choices")
    return DataError(
        f"{_name(chosen)} is {what}, which has no ratings, and the model learned from ratings. "
        'Such a file goes with a model of choices: one fitted with kind="implicit", or to likes.'
    )


def _check_alone(ratings: Ratings) -> None:
    if ratings.n_users > 1:
        raise DataError(
            f"{_name(ratings)} has {ratings.n_users:,} users, not one person. For several new users: palate recommend "
            "MODEL --new FILE, or rec.fold_in(...) with a frame that has a user column."
        )


def _name(ratings: Ratings) -> str:
    return ratings.report.source or "the source"


def _by_artist(chosen: Ratings) -> Ratings | None:
    """The plays of tracks as plays of their artists; None for anything else."""
    export, table = export_of_ratings(chosen), chosen.item_table
    if export is None or export.holds != "plays" or table is None or "author" not in table.columns:
        return None
    artist_of = dict(zip(chosen.item_vocabulary.labels.tolist(), table["author"].to_list(), strict=True))
    weights = np.ones(len(chosen)) if chosen.weights is None else chosen.weights
    artists = [artist_of[label] for label in labels_of_rows(chosen)]
    columns = {"user": [PERSON] * len(artists), "item": artists, "count": weights}
    played = read(columns, kind="implicit", on_bad_rows="report")
    return played._with(report=chosen.report) if len(played) else None


def _works(sources: Sequence[Ratings]) -> list[Work]:
    """The items of a file, each once; those that were rated come first."""
    works: dict[Label, Work] = {}
    for ratings in sources:
        labels = [plain_label(label) for label in ratings.item_vocabulary.labels.tolist()]
        for work in works_of(labels, ratings.item_table):
            works.setdefault(work.label, work)
    return list(works.values())


# ---- finding the items -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Finder:
    """The works of a model, by what they can be found by.

    Attributes:
        works (list of Work): One for each item code.
        labels (dict): Label as text -> code.
        ids (dict): ISBN or IMDb id -> codes.
        whole, names, bare, others (dict): Title -> codes; see Work.
    """

    works: list[Work]
    labels: dict[str, int]
    ids: dict[str, list[int]]
    whole: dict[str, list[int]]
    names: dict[str, list[int]]
    bare: dict[str, list[int]]
    others: dict[str, list[int]]

    @classmethod
    def of(cls, model: Model) -> _Finder:
        labels = [plain_label(label) for label in model.item_vocabulary.labels.tolist()]
        works = works_of(labels, model.item_table)
        by = {part: _codes_by(getattr(work, part) for work in works) for part in PARTS}
        return cls(works, {str(label): code for code, label in enumerate(labels)}, **by)

    def shown(self, code: int) -> str:
        """What to call an item in a report."""
        work = self.works[code]
        return work.title if work.title.startswith(str(work.label)) else f"{work.title} [{work.label}]"

    def is_assumed(self, work: Work, one: Found) -> bool:
        """True if an item was taken though a subtitle was left out, or its year or author could not be compared."""
        if one.code < 0:
            return False
        told = any(known.year or known.authors for known in (work, self.works[one.code]))
        return one.by == SHORTENED or (one.by == "title" and told)

    def find(self, work: Work, *, labels_count: bool) -> Found:
        """The items that an item of the file fits, by the first of all ways that finds any.

        labels_count: the file's labels are those of the model, even where they are numbers.
        """
        code = self.labels.get(str(work.label))
        if code is not None and _is_same_label(work, self.works[code], labels_count=labels_count):
            return Found("label", [code])
        by_id = sorted({code for known in work.ids for code in self.ids.get(known, ())})
        if by_id:
            return Found("IMDb id" if self.works[by_id[0]].ids & work.imdb else "ISBN", by_id)
        for known, index in ((work.whole, self.whole), (work.names, self.names), (work.bare, self.bare)):
            found = self._of_these(work, {code for name in known for code in index.get(name, ())})
            if found.codes:
                is_other = work.is_other and not self.works[found.codes[0]].is_other
                return replace(found, is_doubtful=found.is_doubtful or is_other)
        fitting = {code for name in work.names for code in self.others.get(name, ())}
        fitting |= {code for name in work.others for code in self.names.get(name, ())}
        found = self._of_these(work, fitting)
        may_be_film = work.is_episode and found.by == "title" and any(self.works[code].year for code in found.codes)
        doubtful = found.is_doubtful or may_be_film or work.is_other
        return Found(SHORTENED if found.codes else "", found.codes, is_doubtful=doubtful)

    def _of_these(self, work: Work, codes: Iterable[int]) -> Found:
        """The codes with the best evidence, among those that nothing contradicts."""
        by_evidence = defaultdict(list)
        for code in sorted(codes):
            by_evidence[_agree(work, self.works[code])].append(code)
        for evidence in ("title and author", "title and year", "title, one year apart", "title", UNCHECKED):
            if by_evidence[evidence]:
                return Found(evidence, by_evidence[evidence], is_doubtful=evidence == UNCHECKED)
        return Found("", [])


def _is_same_label(work: Work, other: Work, *, labels_count: bool) -> bool:
    """True unless the labels are numbers that may be equal by chance: then the titles must agree, if there are any.

    A service's own numbers are not a model's, unless the caller said so.
    """
    text = str(work.label)
    if not text.isdecimal() or isbn13(text):
        return True
    if work.names and other.names:
        return bool((work.bare | work.others) & (other.bare | other.others)) and _agree(work, other) != "no"
    return labels_count


def _codes_by(keys: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    codes: dict[str, list[int]] = defaultdict(list)
    for code, own in enumerate(keys):
        for key in own:
            codes[key].append(code)
    return dict(codes)


def _agree(work: Work, other: Work) -> str:
    """What two works with one title agree in; "no" if they contradict each other.

    An author on one side and a year on the other may be a book and a film of one title: that is left unchecked.
    """
    if work.authors and other.authors:  # years of books are those of an edition
        return "title and author" if work.authors & other.authors else "no"
    if work.year and other.year:
        apart = abs(work.year - other.year)
        return "title and year" if apart == 0 else "title, one year apart" if apart == 1 else "no"
    has_either = bool(work.authors or work.year) and bool(other.authors or other.year)
    return UNCHECKED if has_either else "title"


def _without_conflicts(works: Sequence[Work], found: Sequence[Found]) -> list[Found]:
    """What was found; doubtful where different works of the file, told apart by year or author, take one item."""
    rivals = defaultdict(set)
    for work, one in zip(works, found, strict=True):
        if one.by in ("title", SHORTENED) and one.code >= 0:
            rivals[one.code].add((work.year, work.authors))
    doubtful = {code for code, kinds in rivals.items() if len(kinds) > 1}
    return [
        replace(one, is_doubtful=one.is_doubtful or (one.by in ("title", SHORTENED) and one.code in doubtful))
        for one in found
    ]
