"""Queries to a model: palate predict, recommend, similar and explain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Option

from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli import printing
from palate.cli.choosing import CHOOSE_OPTIONS, SIMILAR_OPTIONS
from palate.cli.loading import cluster_at, load_model
from palate.data.addresses import is_url
from palate.showing.lines import printable

if TYPE_CHECKING:
    from palate.recommender import Recommender


def predict(
    model: par.ModelFile,
    user: Annotated[str | None, Argument(metavar="USER", help="The user's id.", show_default=False)] = None,
    item: Annotated[str | None, Argument(metavar="ITEM", help="The item's id or title.", show_default=False)] = None,
    *,
    pairs: Annotated[
        Path | None,
        Option(metavar="FILE", help="A file with a user and an item in each row, instead of USER and ITEM."),
    ] = None,
    ratings_of: par.RatingsOf = None,
    when: par.When = None,
    level: par.Level = 0.9,
    distribution: par.Distribution = False,
    on_unknown: par.OnUnknown = "fallback",
    json: par.Json = False,
    out: par.Out = None,
) -> None:
    """Predict a rating, with the interval that holds the true one with probability --level."""
    from palate.cli import lists, personal

    if ratings_of is not None:
        if pairs is not None or when is not None:
            raise BadParameter("--ratings-of goes without --pairs and --when.")
        printing.check_out(out)
        rec = load_model(model)
        person, own_item = personal.item_for(ratings_of, rec, [user, item])
        frame = person.predict([own_item], level=level, distribution=distribution)
        heading = f"{lists.title_of(own_item, rec)} for the ratings of {ratings_of.name}"
        printing.emit(frame, as_json=json, out=out, heading=heading, one=True)
        return
    if (pairs is None) == (user is None) or (user is None) != (item is None):
        raise BadParameter("name a USER and an ITEM, or a file of them with --pairs.")
    printing.check_out(out)
    rec = load_model(model)
    options: dict[str, Any] = {"level": level, "distribution": distribution, "on_unknown": on_unknown}
    options["when"] = lists.timestamp_of(when, rec)
    if pairs is not None:
        frame = rec.predict(lists.read_pairs(pairs, rec), **options)
        printing.emit(frame, as_json=json, out=out)
        return
    assert user is not None
    assert item is not None
    labels = lists.user_of(user, rec), lists.item_of(item, rec)
    frame = rec.predict([labels[0]], [labels[1]], **options)
    interval = f", {level:.0%} interval" if rec.has_intervals else ""
    heading = f"{lists.title_of(labels[1], rec)} for {labels[0]}{interval}"
    printing.emit(frame, as_json=json, out=out, heading=heading, one=True)


@opt.takes("choosing", CHOOSE_OPTIONS)
def recommend(
    model: par.ModelFile,
    users: Annotated[list[str] | None, Argument(metavar="USERS", help="The users' ids.", show_default=False)] = None,
    *,
    everyone: Annotated[bool, Option("--everyone", "--all", help="Recommend for all users.")] = False,
    like: Annotated[
        list[str] | None,
        Option(
            metavar='"ITEM=RATING"',
            help="Recommend for a new user who gave this rating, or chose ITEM; repeat for several.",
        ),
    ] = None,
    session: Annotated[
        list[str] | None,
        Option(
            metavar='"ITEM,ITEM"',
            help="Recommend for somebody who has just chosen these items, oldest first; repeat for names with commas.",
        ),
    ] = None,
    new: Annotated[
        Path | None,
        Option(metavar="FILE", help="Recommend for new users, whose ratings or choices are in this file."),
    ] = None,
    ratings_of: Annotated[
        Path | None,
        Option(
            "--ratings-of",
            metavar="FILE",
            help="Recommend for the person whose ratings or choices are in this file, such as an export of Goodreads, "
            "Letterboxd or IMDb; items are matched by id, ISBN, or title and year.",
        ),
    ] = None,
    n: par.N = 10,
    items: par.Items = None,
    exclude: par.Exclude = None,
    keep_seen: par.KeepSeen = None,
    by: par.By = "mean",
    at_least: par.AtLeast = None,
    level: par.Level = 0.9,
    seed: par.Seed = 0,
    on_unknown: par.OnUnknown = "fallback",
    json: par.Json = False,
    out: Annotated[
        str | None,
        Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write to a .csv, .parquet or .jsonl file instead; with --everyone also to a folder of Parquet files, "
            "or an address such as s3://bucket/lists, where the same command goes on after an interruption.",
        ),
    ] = None,
    on: par.OnLists = None,
    choosing: dict[str, Any],
) -> None:
    """Recommend the best items among those that a user has not rated or chosen yet."""
    from palate.cli import lists, personal

    if bool(users) + everyone + bool(like) + bool(session) + (new is not None) + (ratings_of is not None) != 1:
        raise BadParameter(
            'name users, or give --everyone, or --like "ITEM=RATING" or --session "ITEM,ITEM" for a new user, or --new '
            "FILE for several, or --ratings-of FILE for one person's own file."
        )
    if (like or session or new or ratings_of) and "index" in choosing:
        raise BadParameter("--index goes with users, or --everyone.")
    file = None if out is None or is_url(out) else Path(out)
    into_file = everyone and out is not None and not json
    into_folder = into_file and (file is None or not file.suffix)
    if is_url(out) and not into_folder:
        raise BadParameter("--out with an address goes with --everyone, and without --json.")
    opt.check_everyone_options(choosing, into_file=into_file, into_folder=into_folder)
    if on is not None and not into_folder:
        raise BadParameter("--on goes with --everyone and --out FOLDER.")
    if not into_folder:
        printing.check_out(file)
    rec, cluster = load_model(model), cluster_at(on)
    options: dict[str, Any] = {"n": n, "keep_seen": keep_seen, "by": by, "level": level, "seed": seed}
    options |= {"at_least": at_least, **lists.recommend_filters(items, exclude, choosing, rec)}
    if like:
        frame = rec.fold_in(lists.given_ratings(like, rec)).recommend(**options)
        printing.emit(_rank_first(frame), as_json=json, out=file, heading="Recommended for a new user")
        return
    if session:
        frame = rec.recommend(session=lists.session_of(session, rec), **options)
        printing.emit(_rank_first(frame), as_json=json, out=file, heading="Recommended after these")
        return
    if new is not None:
        frame = rec.fold_in(lists.new_users(new, rec)).recommend(**options)
        printing.emit(_rank_first(frame), as_json=json, out=file, heading="Recommended for new users")
        return
    if ratings_of is not None:
        found = personal.matched(ratings_of, rec)
        frame = _rank_first(personal.recommended(rec, found, options))
        personal.emit(frame, found, as_json=json, out=file, heading=f"Recommended for the ratings of {ratings_of.name}")
        return
    labels = None if everyone else [lists.user_of(user, rec) for user in users or ()]
    if into_file:  # block by block, in bounded memory
        options |= opt.everyone_options(choosing)
        rec.recommend(None, **options, out=f"{out}/" if into_folder else file, on=cluster)
        _note_index(rec, choosing)
        printing.note(f"recommendations for {rec.n_users:,} users written to {out}.")
        return
    frame = rec.recommend(labels, **options | {"on_unknown": on_unknown})
    _note_index(rec, choosing)
    one = labels is not None and len(labels) == 1
    hide = [rec.model.user_vocabulary.what] if one else []
    heading = f"Recommended for {labels[0]}" if one and labels else ""
    printing.emit(_rank_first(frame), as_json=json, out=file, heading=heading, hide=hide)


@opt.takes("choosing", SIMILAR_OPTIONS)
def similar(
    model: par.ModelFile,
    label: Annotated[str, Argument(metavar="ITEM", help="An item's id or title; with --users a user's id.")],
    *,
    users: Annotated[bool, Option("--users", help="List users similar to a user.")] = False,
    n: par.N = 10,
    json: par.Json = False,
    out: par.Out = None,
    choosing: dict[str, Any],
) -> None:
    """List the items most similar to an item; with --users, the users most similar to a user."""
    from palate.cli import lists

    printing.check_out(out)
    rec = load_model(model)
    options = lists.similar_filters(choosing, rec, users=users)
    if users:
        user = lists.label_of(label, rec.model.user_vocabulary)
        frame, name = rec.similar_users(user, n, **options), f"user {user}"
    else:
        item = lists.items_of([label], rec)[0]
        frame, name = rec.similar_items(item, n, **options), lists.title_of(item, rec)
    printing.emit(_rank_first(frame), as_json=json, out=out, heading=f"Similar to {name}")


def explain(
    model: par.ModelFile,
    user: Annotated[str | None, Argument(metavar="USER", help="The user's id.", show_default=False)] = None,
    item: Annotated[str | None, Argument(metavar="ITEM", help="The item's id or title.", show_default=False)] = None,
    *,
    ratings_of: par.RatingsOf = None,
    when: par.When = None,
    json: par.Json = False,
) -> None:
    """Explain a prediction by the user's own ratings, side information and the time."""
    from palate.cli import lists, personal

    if ratings_of is None and (user is None or item is None):
        raise BadParameter("name a USER and an ITEM, or an ITEM and --ratings-of FILE.")
    rec = load_model(model)
    if ratings_of is not None:
        if when is not None:
            raise BadParameter("--ratings-of goes without --when.")
        person, own_item = personal.item_for(ratings_of, rec, [user, item])
        explanation = person.explain(own_item)
    else:
        assert user is not None
        assert item is not None
        user_label = lists.label_of(user, rec.model.user_vocabulary)
        explanation = rec.explain(user_label, lists.items_of([item], rec)[0], when=lists.timestamp_of(when, rec))
    if json:
        printing.print_json(explanation.to_dict())
        return
    for line in str(explanation).splitlines():
        printing.say(printable(line))


def _note_index(rec: Recommender, choosing: Mapping[str, Any]) -> None:
    """Print a note about the recall of the index."""
    if "index" in choosing:
        printing.note(f"approximate answers: {repr(rec.item_index)[1:-1]}.")


def _rank_first(frame: Any) -> Any:
    """Return the frame with the columns user and rank first."""
    first = [name for name in ("user", "rank") if name in frame.columns]
    return frame.select(*first, *(name for name in frame.columns if name not in first))
