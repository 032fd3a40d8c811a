"""palate drift: whether new ratings are still like those that a model learned from."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument

from palate.cli import gates, printing
from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli.loading import load_model, read_ratings
from palate.showing.lines import printable


@opt.takes("reading", opt.READ_OPTIONS)
def drift(
    model: par.ModelFile,
    data: Annotated[
        str, Argument(metavar="RATINGS", help="New ratings.", show_default=False, autocompletion=par.data_starting)
    ],
    *,
    seed: par.Seed = 0,
    fail_if: par.FailIf = None,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:
    """Compare new ratings with those that a model learned from: users, items, values, intervals, errors.

    Says which shifts lie beyond a limit with their whole 95% interval, and what to do. --fail-if "drifted > 0" makes
    it exit with 3 then.
    """
    from palate.cli.lists import in_kind_of
    from palate.evaluation import drift as find_drift

    conditions = gates.parsed(fail_if)
    rec = load_model(model)
    reads_order = rec.model.factors.reads_order
    ratings = in_kind_of(read_ratings(data, reading, rec.model.kind, reads_order=reads_order), rec)
    found = find_drift(rec, ratings, seed=seed)
    plain = found.to_dict()

    def show(judged: list[gates.Told]) -> None:
        if json:
            printing.print_json(plain | ({"gates": judged} if judged else {}))
            return
        for line in str(found).splitlines():
            printing.say(printable(line), "yellow" if line.endswith("  drift") else "")

    gates.judged(conditions, plain, show)
