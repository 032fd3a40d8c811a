"""`palate demo`: from ratings to recommendations in one screen."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.cli import printing
from palate.cli.describing import size_of
from palate.cli.lists import title_of
from palate.cli.loading import is_data_set, read_ratings
from palate.data.titles import YEAR

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.evaluation import RankingReport, Report
    from palate.recommender import Recommender

USER = "196"
LIKED = ("Star Wars", "Return of the Jedi", "Alien")
FILMS = 5  # recommended to each
TITLE_WIDTH = 38


def run(data: str, out: Path) -> None:
    """Everything palate does, once: read, learn, test, recommend, explain, take in somebody new, save."""
    import palate

    ratings = _read(data)
    train, test = palate.split_random(ratings, test=0.1, seed=0)
    rec = _learn(train)
    rec = rec.with_metrics(_test(rec, test).to_dict())
    user = USER if USER in rec.model.user_vocabulary else rec.model.user_vocabulary.labels[:1].tolist()[0]
    item = _recommend(rec, user)
    liked = _take_in(rec)
    rec.save(out)
    _heading("Keep it", f"{out}, {size_of(out)}: one file, loaded in a moment, nothing in it is ever executed")
    _try_next(out, user, title_of(item, rec), liked)


def _heading(what: str, text: str) -> None:
    if not printing.is_terminal():
        printing.say(f"{what}: {text}")
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text.assemble((what, "bold cyan"), ": ", text))


def _read(data: str) -> Ratings:
    from palate.data.datasets import available

    known = next((known for known in available() if known.name == data), None)
    if known is not None and is_data_set(data) and known.here is None:
        printing.say(f"{data} is not here yet; getting it ({known.megabytes} MB, once).")
    start = time.perf_counter()
    ratings = read_ratings(data, {})
    low, high = ratings.range
    size = f"{len(ratings):,} ratings ({low:g} to {high:g}) of {ratings.n_items:,} items by {ratings.n_users:,} users"
    _heading("Read", f"{data}: {size}, in {time.perf_counter() - start:.1f} s")
    return ratings


def _learn(train: Ratings) -> Recommender:
    import palate

    rec = palate.Bayes().fit(train)
    training = rec.model.training
    how = f"{training['n_sweeps']} sweeps in {training['seconds']:.1f} s, nothing to tune"
    _heading("Learn", f"Bayes on 90% of them, {how}")
    return rec


def _test(rec: Recommender, test: Ratings) -> Report | RankingReport:
    import palate

    report = palate.evaluate(rec, test)
    inside = f"{report['coverage_90']:.1%} of them lie inside their 90% intervals"
    _heading("Test", f"on the other {len(test):,}, never seen; {inside}")
    rows = {**report.baselines, "Bayes": report.measures}
    columns: dict[str, list[Any]] = {"  model": [f"  {name}" for name in rows]}
    for measure in ("rmse", "mae"):
        columns[measure] = [measures[measure].value for measures in rows.values()]
    printing.print_table(columns)
    if report.verdict:
        printing.say(f"  {report.verdict}")
    return report


def _recommend(rec: Recommender, user: Any) -> Any:
    """Recommend to somebody known, with reasons; the first item recommended."""
    favourites = [_short(title, 24) for title in _names(rec.history(user).head(3))]
    _heading("Recommend", f"to user {user}, whose favourites are {', '.join(favourites)}")
    frame = rec.recommend(user, n=FILMS)
    _print_items(rec, frame, [_reasons(rec, user, item) for item in frame["item"].to_list()])
    return frame["item"][0]


def _reasons(rec: Recommender, user: Any, item: Any) -> str:
    """The two own ratings that pulled a prediction up the most."""
    because = sorted(rec.explain(user, item).because, key=lambda reason: -reason.contribution)
    pulled = [reason for reason in because[:2] if reason.contribution > 0]
    return ", ".join(f"{_short(reason.title or str(reason.item), 18)} {reason.rating:g}" for reason in pulled)


def _take_in(rec: Recommender) -> list[str]:
    """Recommend to somebody new after three ratings; what was rated, as one types it."""
    items = _liked(rec)
    top = rec.model.limits[1]
    start = time.perf_counter()
    newcomer = rec.fold_in(dict.fromkeys(items, top))
    frame = newcomer.recommend(n=FILMS)
    milliseconds = (time.perf_counter() - start) * 1000
    names = ", ".join(_short(title_of(item, rec), 24) for item in items)
    _heading("Take in", f"somebody new, who gives {top:g} to {names} ({milliseconds:.0f} ms)")
    intervals = newcomer.predict(frame["item"].to_list(), level=0.9)
    ranges = [f"{low:.1f} .. {high:.1f}" for low, high in zip(intervals["low"], intervals["high"], strict=True)]
    _print_items(rec, frame, ranges, name="90% interval")
    return [f"{title_of(item, rec)}={top:g}" for item in items]


def _liked(rec: Recommender) -> list[Any]:
    """The films of LIKED where the data has them, the most rated items otherwise."""
    titles = rec.model.item_titles
    found = [codes[0] for title in LIKED if titles and len(codes := titles.find(title)) == 1]
    if len(found) < len(LIKED):
        import numpy as np

        counts = np.bincount(rec.model.history.indices, minlength=rec.n_items)
        found = np.argsort(-counts, kind="stable")[: len(LIKED)].tolist()
    labels: list[Any] = rec.model.item_vocabulary.decode(found).tolist()
    return labels


def _print_items(rec: Recommender, frame: Any, more: list[str], name: str = "because of own ratings") -> None:
    items = frame["item"].to_list()
    printing.print_table(
        {
            "  rank": frame["rank"].to_list(),
            "title": [_shorter(title_of(item, rec), TITLE_WIDTH) for item in items],
            "score": frame["score"].to_list(),
            name: more,
        }
    )


def _names(frame: Any) -> list[str]:
    column = "title" if "title" in frame.columns else "item"
    return [str(name) for name in frame[column].to_list()]


def _short(title: str, width: int) -> str:
    """A title without its year, cut to a width."""
    return _shorter(YEAR.sub("", title), width)


def _shorter(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def _try_next(out: Path, user: Any, title: str, liked: list[str]) -> None:
    palate, model = _command(), _quoted(str(out))
    printing.say("Try next", "bold cyan")
    likes = " ".join(f"--like {_quoted(like)}" for like in liked[:1])
    for line in (
        f"recommend {model} {_quoted(str(user))} --by lower",
        f"explain {model} {_quoted(str(user))} {_quoted(title)}",
        f"similar {model} {_quoted(liked[0].rpartition('=')[0])}",
        f"recommend {model} {likes}",
        f"show {model}",
        "fit RATINGS.csv -o my.palate --test 0.1",
    ):
        printing.say(f"  {palate} {line}")


def _command() -> str:
    """How to call palate from here: as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        python = "python" if shutil.which("python") == sys.executable else _quoted(_from_here(sys.executable))
        return f"{python} -m palate"
    found = shutil.which("palate")
    if found and Path(found).resolve() == called.resolve():
        return "palate"
    return _quoted(_from_here(str(called)))


def _from_here(path: str) -> str:
    """The shorter of the absolute path and the path from this folder."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) and not relative.startswith("..") else path


def _quoted(text: str) -> str:
    from shlex import quote

    return text if text.replace(".", "").replace("/", "").replace("-", "").isalnum() else quote(text)
