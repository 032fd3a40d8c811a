"""The model card: complete, right, the same for the same, safe whatever labels and files say."""

import datetime
import hashlib
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import palate
from helpers.command_line import answer, ask, parsed, refused
from palate.errors import DataError, LabelTypeError, ModelFileError, OptionError
from palate.evaluation import measured_lists
from palate.evaluation.breakdowns import one_hot
from palate.evaluation.calibration import calibration_of
from palate.evaluation.card_breakdowns import error_breakdowns, joined, list_breakdowns
from palate.evaluation.groups import MIN_USERS, Groups, by_columns, by_numbers
from palate.evaluation.matching import codes_in_model
from palate.evaluation.measured_lists import measure_lists
from palate.evaluation.measured_rows import measure_predictions
from palate.exporting.card import Card
from palate.exporting.documents import html_of, markdown_of, plain_markdown
from palate.models.model import Model

DAY = "2026-12-31"
HOSTILE = '<script>alert(1)</script> [x](javascript:1) | `a` **b** @root #1 $x$ www.example.org \u202e ![](http://e.org/"onload=")'


class Reading(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = set(), {}, [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.setdefault(tag, set()).update(name for name, _ in attrs)
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert not self.open or tag in ("line", "circle") or self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def parts():
    return palate.split_random(palate.datasets.synthetic(n_users=120, n_items=50, n_ratings=4000, seed=1), test=0.2)


@pytest.fixture(scope="module")
def rec(parts):
    return palate.Bayes(n_sweeps=12, n_factors=4, n_threads=1).fit(parts[0], progress=False)


@pytest.fixture(scope="module")
def card(rec, parts):
    return palate.card(rec, parts[1], date=DAY, n_bootstrap=200)


def section_of(card, heading):
    return next(section for section in card.sections if section.heading == heading)


def tables_of(section):
    return {block.caption: block for block in section.blocks if hasattr(block, "caption")}


def facts_of(card, heading):
    return {name: text for block in section_of(card, heading).blocks if hasattr(block, "rows")
            and not hasattr(block, "head") for name, text in block.rows}  # fmt: skip


# ---- what it says ----------------------------------------------------------------------------------------------------


def test_it_has_all_sections(card):
    assert [section.heading for section in card.sections] == [
        *("What it is", "Data", "How it was made", "How it was measured", "Quality", "Calibration", "Groups", "Limits"),
        "Versions when this card was made",
    ]


def test_figures_are_those_of_evaluate(card, rec, parts):
    report = palate.evaluate(rec, parts[1], n_bootstrap=200)
    table = next(iter(tables_of(section_of(card, "Quality")).values()))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["this model"][0] == str(report.measures["rmse"])
    assert rows["Bias"][1] == str(report.baselines["Bias"]["mae"])
    lists = palate.evaluate(rec, parts[1].likes(at_least=4), k=10, n_bootstrap=200)
    assert card.metrics["lists"] == json.loads(json.dumps(lists.to_dict()))
    assert card.metrics["predictions"] == report.to_dict()


def test_coverage_is_that_of_evaluate(rec, parts):
    report = palate.evaluate(rec, parts[1], n_bootstrap=50)
    found = calibration_of(measure_predictions(rec, parts[1], n_bootstrap=50, seed=0, for_card=True))
    by_level = {one.level: one for one in found.coverage}
    assert by_level[0.9].inside == report.measures["coverage_90"]
    assert (by_level[0.5].width, by_level[0.5].below) == (report["width_50"], report["below_50"])
    assert sum(one.n for one in found.bins) == len(parts[1])
    mean = sum(one.n * one.rating for one in found.bins) / len(parts[1])
    assert mean == pytest.approx(parts[1].values.mean(), abs=1e-5)


def test_groups_are_measured_as_their_rows_alone_are(rec, parts):
    genders = np.where(np.arange(120) % 3 == 0, "f", "m")
    test = parts[1].with_users({"user": list(parts[1].user_vocabulary), "gender": genders.tolist()})
    how = {"n_bootstrap": 50, "seed": 0, "for_card": True}
    found = {one.by: one for one in error_breakdowns(measure_predictions(rec, test, **how))}
    one = found["gender"]
    rows = test[np.flatnonzero(genders[test.user_codes] == "f")]
    alone = palate.evaluate(rec, rows, baselines=False, n_bootstrap=50)
    assert one.groups == ("all", "f", "m")
    assert (one.sizes[1], one.n_users[1]) == (alone.n, alone.n_users)
    assert one.measures["rmse"][1].value == pytest.approx(alone["rmse"])
    predicted = rec.predict_codes(*codes_in_model(rec, rows))[0]
    assert one.measures["mean_error"][1].value == pytest.approx((predicted - rows.values).mean())
    assert one.sizes[1] + one.sizes[2] == one.sizes[0] == len(test)
    whole = palate.evaluate(rec, test, baselines=False, n_bootstrap=50).measures["rmse"]
    for each in found.values():
        if each.groups:
            assert vars(each.measures["rmse"][0]) == pytest.approx(vars(whole), rel=1e-6)

    likes = test.likes(at_least=4)
    options = palate.answers.ranking.RecommendOptions()
    measured = measure_lists(rec, likes, (10,), options=options, **how)
    found = {one.by: one for one in list_breakdowns(measured)}
    rows = likes[np.flatnonzero(genders[likes.user_codes] == "f")]
    alone = palate.evaluate(rec, rows, k=10, baselines=False, n_bootstrap=50)
    for name in ("ndcg@10", "recall@10"):
        assert found["gender"].measures[name][1].value == pytest.approx(alone[name])
    popular = found["ratings of the item in training"]
    low = int(popular.groups[-1].removesuffix(" or more"))
    rows = likes[np.flatnonzero(rec.model.item_counts[codes_in_model(rec, likes)[1]] >= low)]
    alone = palate.evaluate(rec, rows, k=10, baselines=False, n_bootstrap=50)
    assert (popular.sizes[-1], popular.n_users[-1]) == (alone.n, alone.n_users)
    assert popular.measures["recall@10"][-1].value == pytest.approx(alone["recall@10"])


def test_each_test_rating_is_predicted_once_and_each_list_ranked_once(rec, parts, monkeypatch):
    asked = {"predicted": 0, "ranked": 0}
    forecast, rank = Model.forecast, measured_lists.rank_held_out

    def counted_forecast(model, users, *others):
        asked["predicted"] += len(users) * (model is rec.model)
        return forecast(model, users, *others)

    def counted_rank(model, held_out, *others):
        asked["ranked"] += len(held_out.users) * (model is rec.model)
        return rank(model, held_out, *others)

    monkeypatch.setattr(Model, "forecast", counted_forecast)
    monkeypatch.setattr(measured_lists, "rank_held_out", counted_rank)
    made = palate.card(rec, parts[1], n_bootstrap=20)
    assert asked == {"predicted": len(parts[1]), "ranked": made.metrics["lists"]["n_users"]}


def test_ratings_of_weight_0_count_nowhere(rec, parts):
    weights = (np.arange(len(parts[1])) % 3).astype(np.float32)
    some = palate.card(rec, parts[1]._with(weights=weights), date=DAY, n_bootstrap=20)
    kept = parts[1][np.flatnonzero(weights)]._with(weights=weights[weights > 0])
    others = palate.card(rec, kept, date=DAY, n_bootstrap=20)
    for heading in ("Quality", "Calibration", "Groups"):
        assert section_of(some, heading) == section_of(others, heading)


def test_what_nobody_said_is_called_not_known(card, rec):
    assert facts_of(card, "What it is")["use"] == "not known: give it with use="
    assert facts_of(card, "Data")["licence"] == "not stated: give it with licence="
    assert facts_of(card, "How it was measured")["set apart"] == "not known: give it with split="
    said = palate.card(
        rec, use="Films", licence="CC0", contact="me", data="mine", title="T", date=datetime.date(2026, 1, 2)
    )
    assert facts_of(said, "What it is") | {"model": ""} == {
        "model": "", "use": "Films", "contact": "me", "date of this card": "2026-01-02"
    }  # fmt: skip
    assert (said.title, facts_of(said, "Data")["licence"]) == ("T", "CC0")
    assert "was not measured" in said.to_markdown() and "Groups" not in said.to_markdown()


def test_licences_of_known_data_sets(rec):
    found = facts_of(palate.card(rec, data="ml-100k"), "Data")["licence"]
    assert found == next(known.licence for known in palate.datasets.available() if known.name == "ml-100k")


def test_the_same_gives_the_same(card, rec, parts):
    again = palate.card(rec, parts[1], date=DAY, n_bootstrap=200)
    assert again == card and again.to_html() == card.to_html()
    assert facts_of(card, "What it is")["date of this card"] == DAY


def test_a_file_is_named_by_its_hash(rec, tmp_path):
    path = tmp_path / "m & co.palate"
    rec.save(path)
    facts = facts_of(palate.card(path), "Versions when this card was made")
    assert facts["SHA-256 of the file"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["file"] == f"m & co.palate, {path.stat().st_size:,} bytes"
    assert facts["palate"] == palate.__version__


def test_hindsight_and_overlap_are_limits(parts):
    frame = palate.datasets.synthetic(n_users=120, n_items=50, n_ratings=4000, seed=1).to_frame()
    dated = palate.read(frame.with_columns(time=pl.int_range(pl.len()) + 1_600_000_000))
    train, test = palate.split_random(dated, test=0.2, seed=0)
    text = palate.card(palate.Bias().fit(train), test, n_bootstrap=20).to_markdown()
    assert "test ratings are older than some that it learned from" in text
    assert "until 2020-09-13" in text
    text = palate.card(palate.Bias().fit(dated), test, n_bootstrap=20).to_markdown()
    assert f"It was trained on {len(test):,} of the test ratings" in text


def test_metrics_of_the_fit_are_shown_without_test_ratings(rec, parts):
    report = palate.evaluate(rec, parts[1], n_bootstrap=50)
    noted = report.to_dict() | {"split": {"split": "random", "test": 0.2, "seed": 3}}
    made = palate.card(rec.with_metrics(noted))
    assert str(report.measures["rmse"]) in made.to_markdown()
    assert facts_of(made, "How it was measured")["set apart"] == "20% of the ratings at random, seed 3"
    assert "Not measured by groups" in made.to_markdown()


ODD = [{"rmse": 0.5}, {"measures": 3}, {"measures": {"rmse": 1}}, {"measures": {"rmse": {"value": "x"}}, "n": "many"},
       {"measures": {"ndcg@10": {"value": 0.5}}, "k": "ten", "baselines": [1], "verdict": 7, "groups": []},
       {"measures": {"rmse": {"value": 1.0, "low": None}}, "baselines": {"B": 5}, "split": {"test": "x"}}]  # fmt: skip


@pytest.mark.parametrize("metrics", ODD, ids=range(len(ODD)))
def test_metrics_of_any_kind_in_a_file_do_no_harm(rec, metrics):
    made = palate.card(rec.with_metrics(metrics))
    assert made.to_markdown() and made.to_html()


# ---- models of all kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", palate.recipes.ALL, ids=lambda recipe: recipe.__name__)
def test_every_recipe_has_a_card(recipe, parts):
    train, test = parts
    if "explicit" not in recipe.kinds:
        train, test = palate.split_within_users(train.likes(at_least=4), test=0.3, seed=0)
    fast = {"n_sweeps": 3, "n_factors": 3} if "n_sweeps" in recipe().options() else {"n_epochs": 2}
    options = {name: value for name, value in fast.items() if name in recipe().options()}
    fitted = recipe(**options).fit(train, progress=False)
    made = palate.card(fitted, test, n_bootstrap=20)
    text = made.to_markdown()
    assert ("RMSE" in text) == fitted.model.predicts_ratings
    assert "NDCG@10" in text and "Popularity" in text
    Reading(made.to_html())


def test_models_of_choices_have_no_errors_and_no_calibration(parts):
    train, test = palate.split_within_users(parts[0].likes(at_least=4), test=0.3, seed=0)
    made = palate.card(palate.EASE().fit(train), test, n_bootstrap=20)
    assert "there is nothing to calibrate" in made.to_markdown()
    assert facts_of(made, "Data")["scale"] == "choices without ratings, which are ratings of 4 or more"
    with pytest.raises(OptionError, match="these test ratings are choices"):
        palate.card(palate.EASE().fit(train), test, at_least=4)
    from_ratings = palate.card(palate.EASE().fit(train), parts[1], n_bootstrap=20)  # liked as in training
    assert "RMSE" not in from_ratings.to_markdown() and from_ratings.metrics["lists"]["n"] > 0


def test_lists_may_be_ranked_in_other_ways(rec, parts):
    made = palate.card(rec, parts[1], by="likely", at_least=3, k=5, n_bootstrap=20)
    assert made.metrics["lists"]["by"] == "likely" and made.metrics["lists"]["k"] == [5]
    assert "ranked by likely" in made.to_markdown() and "a test rating of 3 or more" in made.to_markdown()


def test_one_user_and_few_ratings():
    ratings = palate.read({"user": ["ann"] * 3, "item": ["a", "b", "c"], "rating": [5, 4, 3]})
    made = palate.card(palate.Bias().fit(ratings[:2]), ratings[2:], n_bootstrap=20, at_least=5)
    assert "RMSE" in made.to_markdown()
    assert "fewer than 20 users in all" in made.to_markdown()


def test_integer_labels_and_users_that_the_model_does_not_know():
    train = palate.read({"user": [1, 1, 2], "item": [7, 8, 7], "rating": [5, 3, 4]})
    test = palate.read({"user": list(range(2, 30)), "item": [8] * 28, "rating": [3, 4] * 14})
    text = palate.card(palate.Bias().fit(train), test, n_bootstrap=20).to_markdown()
    assert "test ratings of cold users" in text
    with pytest.raises(LabelTypeError):
        palate.card(palate.Bias().fit(train), palate.read({"user": ["x"], "item": ["y"], "rating": [1]}))


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_small_groups_are_joined_so_that_none_can_be_told_apart():
    def shown(names, sizes):
        groups = Groups("job", names, np.repeat(np.arange(len(sizes)), sizes))
        found, parts, note = joined(groups, one_hot(np.ones(sum(sizes)), groups) > 0)
        return found, (np.array(sizes) @ parts).tolist(), note

    assert shown(("a", "b", "c", "d"), [50, 30, 19, 3])[:2] == (("all", "a", "b", "all others"), [102, 50, 30, 22])
    lonely = shown(("a", "b", "c"), [50, 30, 1])  # one small group would follow from the total and the others
    assert lonely[:2] == (("all", "a", "all others"), [81, 50, 31])
    none = shown(("a", "b"), [9, 9])
    assert none[:2] == ((), []) and "fewer than 20 users in all" in none[2]
    assert shown(("a", "b", "c"), [40, 0, 40]) == (("all", "a", "c"), [80, 40, 40], "")


def test_users_of_several_small_groups_count_once():
    """As groups of items have them: 15 users with test ratings in both small groups are 15, and not 30."""
    has_rows = np.zeros((60, 4), bool)
    has_rows[:, :2], has_rows[:15, 2:] = True, True
    names, parts, _ = joined(Groups("item", ("a", "b", "c", "d"), np.zeros(1, np.int8)), has_rows)
    assert names == ("all", "b", "all others")
    assert parts.T.tolist() == [[1, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 1]]


@pytest.mark.parametrize("numbers", [np.arange(200), np.ones(200), np.repeat([1, 2], 100), np.arange(200.0) / 7])
def test_numbers_fall_into_classes_that_say_what_they_hold(numbers):
    found = by_numbers("age", numbers, np.ones(200, int))
    assert found.of.min() >= 0 and np.bincount(found.of).min() >= MIN_USERS
    assert found.names[-1] == "not known" and len(found.names) == found.of.max() + 2
    for at, name in enumerate(found.names[:-1]):
        own = numbers[found.of == at]
        if name.startswith("up to"):
            assert own.max() == pytest.approx(float(name.split()[-1]))
        if name.endswith("or more"):
            assert own.min() == pytest.approx(float(name.split()[0]), rel=1e-5)


def test_columns_of_every_kind():
    n = 120
    table = pl.DataFrame(
        {
            "age": [None if at % 4 == 0 else at for at in range(n)],
            "works": [at % 2 == 0 for at in range(n)],
            "id": [f"id {at}" for at in range(n)],
            "born": [datetime.date(1990, 1, 1)] * n,
            "likes": [["a", "b"]] * n,
            "stars": [1 + at % 3 for at in range(n)],
            "same": ["x"] * n,
            "none": [None] * n,
        }
    )
    found = {groups.by: groups for groups in by_columns(table, np.arange(n))}
    assert found["age"].names[-1] == "not known"
    assert (found["age"].of == len(found["age"].names) - 1).sum() == n // 4
    assert found["works"].names == ("False", "True", "not known")
    assert found["stars"].names == ("1", "2", "3", "not known")
    assert found["same"].names == ("x", "not known") and found["none"].names == ("not known",)
    for name in ("id", "born", "likes"):
        assert found[name].names == () and "tell no groups apart" in found[name].note


# ---- as it is written ------------------------------------------------------------------------------------------------


def hostile_card(parts):
    labels = [HOSTILE + str(at) for at in range(120)]
    users = {"user": list(parts[0].user_vocabulary), HOSTILE: [labels[at % 2] for at in range(120)]}
    train, test = (part.with_users(users) for part in parts)
    model = palate.Bias().fit(train)
    return palate.card(model, test, title=HOSTILE, use=HOSTILE, data=HOSTILE, date=DAY, n_bootstrap=20)


def test_hostile_texts_are_shown_and_never_run(parts):
    made = hostile_card(parts)
    page = Reading(made.to_html())
    assert page.tags <= {
        *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "ul", "li", "div"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "line", "circle"),
    }
    names = {name for found in page.attributes.values() for name in found}
    assert not {name for name in names if name.startswith("on")} | (names & {"href", "src", "style"})
    assert any("<script>alert(1)</script>" in text for text in page.texts)  # as text
    assert "\u202e" not in made.to_html() + made.to_markdown()
    text = made.to_markdown()
    assert (
        "<script" not in text
        and not re.search(r"(?<!\\)\]\(", text)
        and " @root" not in text
        and "www.example" not in text
    )
    assert "<!--" not in plain_markdown("<!-- x") and plain_markdown("a_b *c*") == "a_b \\*c\\*"


def test_markdown_is_what_it_should_be_when_rendered(parts):
    markdown = pytest.importorskip("markdown_it")
    html = markdown.MarkdownIt("gfm-like", {"linkify": False}).render(hostile_card(parts).to_markdown())
    page = Reading(html.replace("<br>", ""))
    assert page.tags <= {*("h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong")}
    assert any("[x](javascript:1) | `a` **b** @root #1 $x$ www.example.org" in text for text in page.texts)


@pytest.mark.parametrize("text", ["- a", "1. a", "2) b", "+ c", "= d", "# e", "> f", "    g", "***", "---", "a\n\nb"])
def test_sentences_stay_sentences(text):
    markdown = pytest.importorskip("markdown_it")
    from palate.exporting.documents import Paragraph, Points, Section

    made = markdown_of("t", [Section("h", (Paragraph(text), Points((text,))))])
    page = Reading(markdown.MarkdownIt("gfm-like", {"linkify": False}).render(made))
    assert page.tags == {"h1", "h2", "p", "ul", "li"}
    assert page.texts.count(" ".join(text.split())) == 2


def test_tables_of_the_markdown_are_tables(card):
    for block in re.findall(r"(?:^\|.*\n)+", card.to_markdown(), flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_the_page_needs_nothing_and_has_a_dark_and_a_printed_form(card):
    html = card.to_html()
    assert "default-src 'none'" in html and "prefers-color-scheme: dark" in html and "@media print" in html
    assert '<html lang="en">' in html and "<svg" in html and not re.search(r"https?://|@import|url\(", html)
    page = Reading(html)
    assert page.open == [] or page.open == ["html"]
    assert html_of("t", []).count("<h1>") == 1


def test_a_card_is_saved_by_its_ending(card, tmp_path):
    for ending, text in ((".md", card.to_markdown()), (".HTML", card.to_html())):
        card.save(tmp_path / f"c{ending}")
        assert (tmp_path / f"c{ending}").read_text(encoding="utf-8") == text
    for path, says in ((tmp_path / "c.pdf", "ends in .md or .html"), (tmp_path / "no" / "c.md", "cannot be written")):
        with pytest.raises(OptionError, match=says):
            card.save(path)
    assert card._repr_markdown_() == str(card) == card.to_markdown()


def test_its_repr_is_one_short_line(rec):
    made = palate.card(rec, title="a\x1b[31m\n" + "b" * 999)
    assert repr(made).startswith("<Card: ") and len(repr(made)) < 200
    assert repr(made).isprintable()


def test_a_card_is_json(card):
    again = json.loads(json.dumps(card.to_dict(), allow_nan=True))
    assert again["title"] == card.title and len(again["sections"]) == len(card.sections)
    assert not any(isinstance(value, float) and math.isnan(value) for value in again["metrics"]["predictions"].values())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"date": "yesterday"}, OptionError, "no date"),
        ({"use": ""}, OptionError, "use must be a text"),
        ({"k": 0}, OptionError, "k must"),
        ({"seed": -1}, OptionError, "seed"),
        ({"at_least": "high"}, OptionError, "at_least must be a rating"),
        ({"test": "test.csv"}, OptionError, "test must be a Ratings"),
        ({"model": 3}, OptionError, "path of a model file"),
        ({"model": "no-such.palate"}, ModelFileError, "no-such.palate"),
        ({"by": "luck"}, OptionError, "by"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors_of_cards_help(rec, parts, options, error, says):
    with pytest.raises(error, match=says):
        palate.card(**{"model": rec, "test": parts[1], "n_bootstrap": 20, **options})


def test_no_test_ratings(rec, parts):
    with pytest.raises(DataError, match="no test ratings"):
        palate.card(rec, parts[1][:0])
    assert isinstance(palate.card(rec), Card)


# ---- real data -------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_card_of_movielens(ml_100k_90_10):
    train, test = ml_100k_90_10
    made = palate.card(palate.ALS().fit(train), test, data="ml-100k", date=DAY, n_bootstrap=100)
    tables = tables_of(section_of(made, "Groups"))
    assert {row[0] for row in tables["Errors by gender"].rows} == {"all", "F", "M"}
    ages = tables["Lists by age"].rows
    assert ages[0][0] == "all" and len(ages) == 6 and sum(int(row[2]) for row in ages[1:]) == int(ages[0][2])
    jobs = tables["Errors by occupation"].rows
    assert all(int(row[2].replace(",", "")) >= MIN_USERS for row in jobs)
    assert "zip has 795 different values" in made.to_markdown()
    assert "research use" in facts_of(made, "Data")["licence"].lower()
    assert "lie apart" in made.to_markdown()


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    palate.datasets.synthetic(n_users=120, n_items=50, n_ratings=4000, seed=1).to_frame().write_csv(folder / "r.csv")
    parts[1].to_frame().write_csv(folder / "test.csv")
    answer("fit", "r.csv", "--recipe", "Bias", "--test", "0.2", "--seed", "3", "-o", "m.palate", cwd=folder)
    return folder


def test_the_command_writes_cards(here):
    shown = answer("card", "m.palate", "--date", DAY, cwd=here)
    assert shown.startswith("# Bias, learned from 3,200 ratings")
    assert "20% of the ratings at random, seed 3" in shown and "give it with --use" in shown
    words = ("--test", "test.csv", "--title", "Films", "--set-apart", "by hand", "-o", "card.html", "--date", DAY)
    done = ask("card", "m.palate", *words, cwd=here)
    assert done.returncode == 0 and "written to" in done.stderr
    page = (here / "card.html").read_text(encoding="utf-8")
    assert "<h1>Films</h1>" in page and "by hand" in page
    assert parsed("card", "m.palate", cwd=here)["metrics"]["predictions"]["n"] == 800


def test_the_command_finds_the_held_out_part_again(here):
    shown = answer("card", "m.palate", "--ratings", "r.csv", "--date", DAY, cwd=here)
    rmse = palate.load(here / "m.palate").model.metrics["measures"]["rmse"]["value"]
    assert f"| this model | {rmse:.4f} (" in shown and "Errors by" in shown
    assert "20% of the ratings at random, seed 3" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ratings", "test.csv"], "does not hold the ratings"),
        (["--ratings", "r.csv", "--test", "test.csv"], "not both"),
        (["--separator", ","], "--separator says how to read"),
        (["-o", "card.pdf"], "ends in .md or .html"),
        (["-o", "no/card.md"], "there is no folder"),
        (["--date", "today"], "--date"),
        (["--test", "nothing.csv"], "nothing.csv"),
        (["--use", " "], "--use must be a text"),
    ],
    ids=lambda words: "".join(words[:3]).strip("-") if isinstance(words, list) else "",
)
def test_the_command_helps(here, words, says):
    assert says in refused("card", "m.palate", *words, cwd=here)
