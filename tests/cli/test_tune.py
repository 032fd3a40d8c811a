"""`palate tune`: what it finds, the line to paste, files, going on after a kill, and refusals in a sentence."""

import json
import shlex
from dataclasses import fields
from typing import Annotated

import polars as pl
import pytest
import typer

import palate as library
from helpers.command_line import answer, many, palate, parsed, refusal
from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli.loading import make_recipe
from palate.cli.model_selection import fit_command
from palate.cli.names import RECIPES, TUNABLE
from palate.errors import OptionError
from palate.tuning import SPACES
from palate.tuning.spaces import space_of

pytest.importorskip("optuna", reason="needs palate[tune]")

QUICK = ["--n-factors", 4, "--n-sweeps", 3, "--n-threads", 1]
ODD = "my -- plays; 'of' $HOME.csv"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    plays = library.datasets.synthetic(n_users=60, n_items=40, n_ratings=1800, kind="implicit", seed=3)
    plays.to_frame().write_csv(folder / "plays.csv")
    plays.to_frame().write_csv(folder / ODD, include_header=False, separator=";")
    library.datasets.synthetic(50, 30, 900, seed=1).to_frame().write_csv(folder / "stars.csv")
    return folder


def test_it_finds_what_python_finds_and_prints_the_line_to_learn_with_it(here):
    told = answer("tune", "plays.csv", "--kind", "implicit", *QUICK, "--trials", 10, "--metric", "recall@5", cwd=here)
    plays = library.read(here / "plays.csv", kind="implicit")
    recipe = library.ImplicitALS(n_factors=4, n_sweeps=3, n_threads=1)
    space = {name: SPACES["ImplicitALS"][name] for name in ("weight_decay", "unobserved_weight")}
    found = library.tune(recipe, plays, "recall@5", trials=10, space=space)
    lines = told.splitlines()
    assert lines[0] == found.heading
    assert lines[1].split()[:2] == ["trial", "recall@5"]
    assert lines[-4] == "* not given: chosen from the training ratings"
    assert [line.split()[0] for line in lines[2:-4]] == [row[0] for row in found.cells()[1:]]
    assert lines[-2] == f"palate.{found.best.label()}.fit(ratings)"
    words = shlex.split(lines[-1])
    assert words[:3] == ["palate", "fit", "plays.csv"]
    answer(*words[1:], cwd=here)
    fitted = library.load(here / "model.palate")
    assert fitted.model.recipe == {"name": "ImplicitALS", **found.best.options()}


def test_a_part_left_aside_is_what_fit_reports_on(here):
    line = ["tune", "stars.csv", "--recipe", "bias", "--trials", 4, "--test", 0.25, "--seed", 3]
    told = parsed(*line, cwd=here)
    train, test = library.split_random(library.read(here / "stars.csv"), test=0.25, seed=3)
    found = library.tune(library.Bias(), train, trials=4, seed=3)
    assert told["best"]["weight_decay"] == pytest.approx(found.best.weight_decay, rel=1e-6)
    (done,) = many(shlex.split(told["command"])[1:], cwd=here)
    assert done.returncode == 0, done.stderr
    model = library.load(here / "model.palate").model
    assert model.recipe == {"name": "Bias", **found.best.options()}
    report = library.evaluate(found.best.fit(train), test)
    assert model.metrics["measures"]["rmse"]["value"] == pytest.approx(report["rmse"])


def test_reports_into_files(here):
    pytest.importorskip("matplotlib")
    line = ["tune", "stars.csv", "--recipe", "Bias", "--trials", "4", "--out"]
    endings = ("csv", "html", "svg", "json")
    for ending, done in zip(endings, many(*([*line, f"t.{ending}"] for ending in endings), cwd=here), strict=True):
        assert done.returncode == 0, done.stderr
        assert done.stderr == f"palate: the tuning is written to t.{ending}.\n"
        assert (here / f"t.{ending}").stat().st_size > 100
    assert pl.read_csv(here / "t.csv").columns == [
        "trial",
        "round",
        "weight_decay",
        "passes",
        "rmse",
        "seconds",
        "state",
    ]
    assert "<h1>palate: Bias, tuned</h1>" in (here / "t.html").read_text(encoding="utf-8")
    assert len(json.loads((here / "t.json").read_text())["trials"]) == 4


def test_it_goes_on_where_it_was(here):
    line = ["tune", "stars.csv", "--recipe", "Bias", "--resume", "t.jsonl", "--json", "--trials"]
    first, more, other, again = many([*line, 1], [*line, 7], [*line, 7, "--seed", 5], [*line, 7], cwd=here)
    assert "t.jsonl does not hold trials of this tuning" in refusal(other)
    first, more, again = (json.loads(done.stdout)["trials"] for done in (first, more, again))
    assert (len(first), len(more)) == (1, 7)
    assert more[:1] == first
    assert again == more


@pytest.mark.long
def test_refusals(here):
    (here / "bytes.jsonl").write_bytes(b"\xff\x00")
    (here / "binary.csv").write_bytes(b"\x00\x01\xff")
    told = {
        "tune none.csv": "none.csv",
        "tune binary.csv": "binary.csv",
        "tune stars.csv --recipe Popularity": "nothing to tune",
        "tune stars.csv --recipe Mean": "nothing to tune",
        "tune stars.csv --recipe KNN": "there is no recipe 'KNN'",
        "tune stars.csv --recipe EASE": "--likes 4",
        "tune plays.csv --kind implicit --recipe ALS": "--recipe ImplicitALS",
        "tune stars.csv --metric ndcg@10": "none of 'rmse', 'mae'",
        "tune plays.csv --kind implicit --metric ndcg": "such as ndcg@10",
        "tune stars.csv --seconds 0": "seconds must be a number above 0",
        "tune stars.csv --seconds nan": "seconds must be a number above 0",
        "tune stars.csv --trials 0": "trials",
        "tune stars.csv --test 2": "share to hold out",
        "tune stars.csv --test 0.0001": "not a single rating",
        "tune stars.csv --seed -1": "seed",
        "tune stars.csv --out t.txt": "the ending must be one of",
        "tune stars.csv --out none/t.csv": "there is no folder",
        "tune stars.csv --resume none/t.jsonl": "there is no folder",
        "tune stars.csv --resume .": "is a folder",
        "tune stars.csv --resume stars.csv": "is the file to learn from",
        "tune stars.csv --resume plays.csv": "does not hold trials of this tuning",
        "tune stars.csv --resume bytes.jsonl": "does not hold trials of this tuning",
        "tune stars.csv --resume t.csv --out t.csv": "give each a file of its own",
        "tune stars.csv --recipe Bias --weight-decay 3": "--weight-decay are given, so nothing is left",
        "tune stars.csv --recipe Bias --k 3": "Bias has no --k",
        "tune stars.csv --likes 4 --recipe Blend --parts EASE": "2 to 8 recipes, got 1",
        "tune stars.csv --likes 4 --recipe Blend --parts EASE,KNN": "there is no recipe 'KNN'",
        "tune stars.csv --likes 4 --recipe Blend --parts EASE(": "give recipes with their options",
    }
    for done, (line, said) in zip(many(*told, cwd=here), told.items(), strict=True):
        assert said in refusal(done), line
    assert library.read(here / "plays.csv", kind="implicit")


def test_odd_names_come_out_as_they_went_in(here):
    line = ["tune", ODD, "--kind", "implicit", "--separator", ";", "--no-header", "--recipe", "EASE", "--trials", "2"]
    told = parsed(*line, cwd=here)
    assert shlex.split(told["command"])[:3] == ["palate", "fit", ODD]
    assert palate(*shlex.split(told["command"])[1:], cwd=here).returncode == 0
    assert fit_command("-x.csv", library.Mean(), {}, {}) == "palate fit ./-x.csv --recipe Mean --out model.palate"


# ---- the line that is printed


def given(words):
    """What a command with the options of fit makes of these words: (recipe, reading)."""
    seen = []

    @opt.takes("learning", opt.FIT_OPTIONS)
    @opt.takes("reading", opt.READ_OPTIONS)
    def fit(
        data: Annotated[str, typer.Argument()], *, out: par.ModelOut, recipe: str = "", reading: dict, learning: dict
    ) -> None:
        seen.append((make_recipe(recipe, learning), reading))

    app = typer.Typer()
    app.command()(fit)
    app(words, standalone_mode=False)
    return seen[0]


@pytest.mark.parametrize(
    ("recipe", "reading"),
    [
        (library.Bayes(n_factors=7, history=False, time=True, features=False, likelihood="ordinal", seed=3), {}),
        (library.Bayes(time=False), {"header": False, "separator": "\\t", "unrated": "keep"}),
        (library.SGD(lr=0.1, y_range=(0.5, 5.5), bias=False, schedule="1/t"), {"likes": 4.0, "user": "a b"}),
        (library.ImplicitALS(weight_decay=1 / 3, unobserved_weight=1e-9, confidence="equal"), {"header": True}),
        (library.Neighbors(by="users", k=7, shrinkage=0.1), {"kind": "implicit", "rating": "false"}),
    ],
)
def test_the_line_says_the_recipe_and_how_to_read(recipe, reading):
    words = shlex.split(fit_command("plays.csv", recipe, reading, {}))
    assert given(words[2:]) == (recipe, reading)


PARTS = [
    ("ease, ImplicitALS(n_factors=64)", [library.EASE(), library.ImplicitALS(n_factors=64)]),
    ("Neighbors(by='users', k=7), BPR(seed=3)", [library.Neighbors(by="users", k=7), library.BPR(seed=3)]),
]


@pytest.mark.parametrize(("text", "parts"), PARTS)
def test_the_parts_of_a_blend_can_be_typed(text, parts):
    recipe = library.Blend(parts)
    assert make_recipe("blend", {"parts": text}) == recipe
    words = shlex.split(fit_command("plays.csv", recipe, {"kind": "implicit"}, {}))
    assert given(words[2:]) == (recipe, {"kind": "implicit"})


@pytest.mark.parametrize(
    "text",
    [
        *(
            "EASE(",
            "[",
            "EASE(1)",
            "EASE(*[1])",
            "EASE(**{'k': 1})",
            "os.system('x')",
            "EASE()()",
            "3",
            "\0",
            "(" * 9000,
        ),
        *("EASE(dropout=open('x'))", "EASE(k=3)", "EASE(dropout=7)", "Foo", "", "EASE", "EASE, Blend", "(" * 9000),
    ],
)
def test_parts_that_are_no_recipes_are_refused(text):
    with pytest.raises(OptionError):
        make_recipe("Blend", {"parts": text})


def test_the_parts_of_a_blend_are_tuned_but_for_what_each_fit_chooses():
    space = space_of(library.Blend(), library.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4), None)
    assert set(space) == {
        *("SparseEASE.k", "SparseEASE.user_exponent", "SparseEASE.item_exponent"),
        *("ImplicitALS.n_factors", "ImplicitALS.unobserved_weight"),
    }


def test_every_option_that_is_tuned_can_be_typed():
    typed = set(opt.for_recipe(opt.FIT_OPTIONS))
    assert set(TUNABLE) == set(SPACES) <= set(RECIPES)
    for name, space in SPACES.items():
        assert name != "Blend" or space == {}  # its parts have spaces
        assert set(space) <= typed & {field.name for field in fields(library.recipes.RECIPES[name])}
