"""palate demo: a tour in one screen, from ratings to recommendations."""

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
    from palate.evaluation import NextItemReport, RankingReport, Report
    from palate.recommender import Recommender

USER = "196"
LIKED_TITLES = ("Star Wars", "Return of the Jedi", "Alien")
N_RECOMMENDED = 5
TITLE_WIDTH = 38


def run(data: str, out: Path) -> None:
    """Run the tour: read, fit, evaluate, recommend, explain, fold in a new user, save."""
    import palate

    ratings = _read(data)
    train, test = palate.split_random(ratings, test=0.1, seed=0)
    rec = _fit(train)
    rec = rec.with_metrics(_evaluate(rec, test).to_dict())
    user = USER if USER in rec.model.user_vocabulary else rec.model.user_vocabulary.labels[:1].tolist()[0]
    item = _recommend(rec, user)
    liked = _fold_in(rec)
    rec.save(out)
    _heading("Save", f"{out}, {size_of(out)}: one file that loads fast and holds data only, no code")
    _try_next(out, user, title_of(item, rec), liked)


def _heading(step: str, text: str) -> None:
    if not printing.is_terminal():
        printing.say(f"{step}: {text}")
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text.assemble((step, "bold cyan"), ": ", text))


def _read(data: str) -> Ratings:
    from palate.data.datasets import available

    data_set = next((data_set for data_set in available() if data_set.name == data), None)
    if data_set is not None and is_data_set(data) and data_set.here is None:
        printing.say(f"downloading {data} ({data_set.megabytes} MB, only once).")
    start = time.perf_counter()
    ratings = read_ratings(data, {})
    low, high = ratings.range
    size = f"{len(ratings):,} ratings ({low:g} to {high:g}) of {ratings.n_items:,} items by {ratings.n_users:,} users"
    _heading("Read", f"{data}: {size}, in {time.perf_counter() - start:.1f} s")
    return ratings


def _fit(train: Ratings) -> Recommender:
    import palate

    rec = palate.Bayes().fit(train)
    training = rec.model.training
    effort = f"{training['n_sweeps']} sweeps in {training['seconds']:.1f} s, nothing to tune"
    _heading("Fit", f"Bayes on 90% of them, {effort}")
    return rec


def _evaluate(rec: Recommender, test: Ratings) -> Report | RankingReport | NextItemReport:
    import palate

    report = palate.evaluate(rec, test)
    inside = f"{report['coverage_90']:.1%} of them lie inside their 90% intervals"
    _heading("Evaluate", f"on the other {len(test):,}, held out; {inside}")
    rows = {**report.baselines, "Bayes": report.measures}
    columns: dict[str, list[Any]] = {"  model": [f"  {name}" for name in rows]}
    for measure in ("rmse", "mae"):
        columns[measure] = [measures[measure].value for measures in rows.values()]
    printing.print_table(columns)
    if report.verdict:
        printing.say(f"  {report.verdict}")
    return report


def _recommend(rec: Recommender, user: Any) -> Any:
    """Recommend to a user, with reasons; return the first item recommended."""
    favorites = [_short(title, 24) for title in _names(rec.history(user).head(3))]
    _heading("Recommend", f"to user {user}, whose favorites are {', '.join(favorites)}")
    frame = rec.recommend(user, n=N_RECOMMENDED)
    _print_items(rec, frame, [_reasons(rec, user, item) for item in frame["item"].to_list()])
    return frame["item"][0]


def _reasons(rec: Recommender, user: Any, item: Any) -> str:
    """Return the two of the user's ratings that raised the prediction most, as text."""
    because = sorted(rec.explain(user, item).because, key=lambda reason: -reason.contribution)
    raising = [reason for reason in because[:2] if reason.contribution > 0]
    return ", ".join(f"{_short(reason.title or str(reason.item), 18)} {reason.rating:g}" for reason in raising)


def _fold_in(rec: Recommender) -> list[str]:
    """Recommend to a new user after three ratings; return these ratings as they are typed after --like."""
    items = _liked_items(rec)
    top = rec.model.limits[1]
    start = time.perf_counter()
    new_user = rec.fold_in(dict.fromkeys(items, top))
    frame = new_user.recommend(n=N_RECOMMENDED)
    milliseconds = (time.perf_counter() - start) * 1000
    names = ", ".join(_short(title_of(item, rec), 24) for item in items)
    _heading("Fold in", f"a new user, who gives {top:g} to {names} ({milliseconds:.0f} ms)")
    intervals = new_user.predict(frame["item"].to_list(), level=0.9)
    ranges = [f"{low:.1f} .. {high:.1f}" for low, high in zip(intervals["low"], intervals["high"], strict=True)]
    _print_items(rec, frame, ranges, name="90% interval")
    return [f"{title_of(item, rec)}={top:g}" for item in items]


def _liked_items(rec: Recommender) -> list[Any]:
    """Return the items of LIKED_TITLES if the data has them all, else the items with the most ratings."""
    titles = rec.model.item_titles
    found = [codes[0] for title in LIKED_TITLES if titles and len(codes := titles.find(title)) == 1]
    if len(found) < len(LIKED_TITLES):
        import numpy as np

        counts = np.bincount(rec.model.history.indices, minlength=rec.n_items)
        found = np.argsort(-counts, kind="stable")[: len(LIKED_TITLES)].tolist()
    labels: list[Any] = rec.model.item_vocabulary.decode(found).tolist()
    return labels


def _print_items(rec: Recommender, frame: Any, last: list[str], name: str = "because of own ratings") -> None:
    """Print recommended items, with one more column at the end."""
    items = frame["item"].to_list()
    printing.print_table(
        {
            "  rank": frame["rank"].to_list(),
            "title": [_cut(title_of(item, rec), TITLE_WIDTH) for item in items],
            "score": frame["score"].to_list(),
            name: last,
        }
    )


def _names(frame: Any) -> list[str]:
    column = "title" if "title" in frame.columns else "item"
    return [str(name) for name in frame[column].to_list()]


def _short(title: str, width: int) -> str:
    """Return a title without its year, cut to a width."""
    return _cut(YEAR.sub("", title), width)


def _cut(text: str, width: int) -> str:
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
    """Return how to call palate from here: as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        python = "python" if shutil.which("python") == sys.executable else _quoted(_from_here(sys.executable))
        return f"{python} -m palate"
    found = shutil.which("palate")
    if found and Path(found).resolve() == called.resolve():
        return "palate"
    return _quoted(_from_here(str(called)))


def _from_here(path: str) -> str:
    """Return the shorter of the absolute path and the path from the current folder."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) and not relative.startswith("..") else path


def _quoted(text: str) -> str:
    from shlex import quote

    return text if text.replace(".", "").replace("/", "").replace("-", "").isalnum() else quote(text)
