"""palate.card(): a report on a model for people who did not make it: its data, its quality, its limits."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from palate.answers.ranking import By
from palate.data.ratings import Ratings
from palate.data.whole_files import reason, replacing
from palate.errors import OptionError
from palate.evaluation.matching import check_type
from palate.exporting import card_quality as quality
from palate.exporting import card_sections as sections
from palate.exporting.card_facts import FileFacts, Given, Known
from palate.exporting.documents import Section, html_of, markdown_of
from palate.exporting.measuring import Measured, measured_on, stored_in
from palate.options import check_is_path, check_seed, check_whole
from palate.recommender import Recommender, load
from palate.showing import texts

WRITERS = {".md": "to_markdown", ".markdown": "to_markdown", ".html": "to_html", ".htm": "to_html"}


@dataclass(frozen=True, repr=False)
class Card:
    """A model card: what palate.card() made. print(card) prints it as Markdown; notebooks show it.

    Attributes:
        title (str): Its title.
        sections (tuple of Section): Headings with sentences, facts and tables.
        metrics (dict, default empty): The reports it shows, as plain values: "predictions" and "lists", where measured.

    Example:
        >>> import palate
        >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> [section.heading for section in palate.card(rec).sections][:3]
        ['What it is', 'Data', 'How it was made']
    """

    title: str
    sections: tuple[Section, ...]
    metrics: dict[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """Return the card as Markdown, as GitHub shows it.

        Returns:
            str: The text. Labels, titles and whatever was given stand in it as they are, and never as markup.
        """
        return markdown_of(self.title, self.sections)

    def to_html(self) -> str:
        """Return the card as one HTML page.

        Returns:
            str: A page that needs no other file, runs no script, prints well and has a dark form.
        """
        return html_of(self.title, self.sections)

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain values, ready for JSON.

        Returns:
            dict: title, sections (each with its heading and blocks) and metrics.
        """
        told = [
            {
                "heading": section.heading,
                "blocks": [{"kind": type(block).__name__.lower(), **asdict(block)} for block in section.blocks],
            }
            for section in self.sections
        ]
        return {"title": self.title, "sections": told, "metrics": self.metrics}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the card to a file, whole or not at all.

        Parameters:
            path (path): A file that ends in .md or .html; an existing one is replaced.

        Raises:
            OptionError: The path has another ending, or cannot be written.
        """
        check_is_path(path=path)
        target = Path(path)
        text = getattr(self, WRITERS[check_ending(target)])()
        try:
            with replacing(target) as part:
                part.write_text(text, encoding="utf-8", newline="\n")
        except (OSError, ValueError) as error:
            raise OptionError(f"{target} cannot be written: {reason(error)}.") from error

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"<Card: {texts.name(self.title)!r}, {len(self.sections)} sections; print() shows it>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def check_ending(path: Path) -> str:
    """Return the ending of the file of a card; raise OptionError if it is none."""
    ending = path.suffix.lower()
    if ending not in WRITERS:
        raise OptionError(f"{path}: a card is written to a file that ends in .md or .html.")
    return ending


def card(
    model: Recommender | str | os.PathLike[str],
    test: Ratings | None = None,
    *,
    title: str | None = None,
    use: str | None = None,
    data: str | None = None,
    licence: str | None = None,
    split: str | None = None,
    contact: str | None = None,
    date: datetime.date | str | None = None,
    by: By = "mean",
    at_least: float | None = None,
    k: int = 10,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Card:
    """Describe a model in a card: data, recipe, quality with intervals, calibration, groups of users, limits, versions.

    With test ratings the model is measured on them: errors and calibration of predictions, lists, baselines, and by
    groups: active and other users, popular and other items, and each column of the table of users. Groups of fewer than
    20 users are joined. Without test ratings the card shows what `palate fit --test` or with_metrics() noted in the
    model, and no groups. What nobody said is called not known; nothing is made up.

    Parameters:
        model (Recommender or path): The model, or its file, whose name, size and SHA-256 are then in the card.
        test (Ratings or None, default None): Ratings that the model did not learn from.
        title (str or None, default None): The title. None: the recipe and the size of the data.
        use (str or None, default None): What the model is for, and what it is not for.
        data (str or None, default None): Where the ratings are from. The name of a data set of palate.datasets, such as
            "ml-100k", also gives its licence.
        licence (str or None, default None): The licence of the ratings.
        split (str or None, default None): How the test ratings were set apart.
        contact (str or None, default None): Who answers questions about the model.
        date (date or str or None, default None): The day of the card, as 2026-12-31. None: today, in UTC.
        by (str, default "mean"): What lists are ranked by, as in Recommender.recommend.
        at_least (float or None, default None): For lists of a model of ratings: a test rating of at_least or more is
            liked. None: a rating above the mean of the training ratings.
        k (int, default 10): The length of the lists that are measured.
        n_bootstrap (int, default 1000): The number of bootstrap resamplings of users; 1 or more.
        seed (int, default 0): Seed of the bootstrap; 0 or more.

    Returns:
        Card: The card; to_markdown(), to_html() and save() write it. The same model, test and date give the same card.

    Raises:
        OptionError: An option is out of range, or `date` is no date.
        ModelFileError: The file cannot be read.
        DataError: There are no test ratings.

    Source:
        Mitchell et al. (2019), Model Cards for Model Reporting.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> card = palate.card(palate.Bias().fit(train), test, use="To show what a card is.", date="2026-12-31")
        >>> print(card.to_markdown().splitlines()[0])
        # Bias, learned from 960 ratings
    """
    given = Given(title, use, data, licence, split, contact)
    how: dict[str, Any] = {"by": by, "at_least": at_least, "k": k, "n_bootstrap": n_bootstrap, "seed": seed}
    return make(model, test, given, date, "{}=".format, **how)


def make(model: Any, test: Any, given: Given, date: Any, spelled: Callable[[str], str], **how: Any) -> Card:
    """Make a card; see card(). spelled: how the caller gives an option of this name. how: how to measure."""
    check_whole(1, n_bootstrap=how["n_bootstrap"], k=how["k"])
    check_seed(how["seed"])
    rec, file = _opened(model)
    measured = stored_in(rec.model.metrics)
    if test is not None:
        check_type("test", test, Ratings, "as palate.read() or a split returns")
        measured = measured_on(rec, test, **how)
    return card_of(rec, measured, given, _day(date), file, spelled)


def card_of(
    rec: Recommender,
    measured: Measured,
    given: Given,
    day: str,
    file: FileFacts | None,
    spelled: Callable[[str], str],
) -> Card:
    """Return the card of a measured model. spelled: how the caller gives an option of this name."""
    known = Known.of(rec, given, day, file, spelled)
    made = (
        sections.what_it_is(known),
        sections.data(known),
        sections.how_it_was_made(known),
        quality.how_it_was_measured(known, measured),
        quality.quality(measured),
        quality.calibration(known, measured),
        quality.groups(known, measured),
        sections.limits(known, measured),
        sections.versions(known),
    )
    return Card(known.title, tuple(section for section in made if section.blocks), measured.to_dict())


def _opened(model: Any) -> tuple[Recommender, FileFacts | None]:
    """The model, and its file where one is named."""
    if isinstance(model, Recommender):
        return model, None
    if not isinstance(model, str | os.PathLike):
        raise OptionError(f"model must be a Recommender or the path of a model file, not {type(model).__name__}.")
    return load(model), FileFacts.of(model)


def _day(date: Any) -> str:
    """The day as 2026-12-31. Raises OptionError for what is no date."""
    if date is None:
        return datetime.datetime.now(datetime.UTC).date().isoformat()
    if isinstance(date, datetime.date):
        return date.isoformat()[:10]
    try:
        return datetime.date.fromisoformat(date).isoformat()
    except (TypeError, ValueError):
        raise OptionError(f"date={date!r} is no date: give one such as 2026-12-31.") from None
