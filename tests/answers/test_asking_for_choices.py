"""Models of choices: what they say of themselves, what they are updated with; at the command line too."""

import json

import numpy as np
import polars as pl
import pytest

import palate
from helpers.command_line import ask
from palate.errors import OptionError

PLAYS = palate.datasets.synthetic(n_users=50, n_items=30, n_ratings=600, kind="implicit", seed=3)
RECIPE = palate.ImplicitALS(n_factors=4, n_sweeps=3)


@pytest.fixture(scope="module")
def counted():
    """The same choices with counts."""
    return PLAYS.with_weights(np.random.default_rng(0).integers(1, 40, len(PLAYS)))


@pytest.fixture(scope="module")
def rec():
    return RECIPE.fit(PLAYS)


@pytest.fixture(scope="module")
def counting(counted):
    return RECIPE.fit(counted)


# ---- synthetic choices


def test_synthetic_choices_follow_popularity_and_taste():
    many = palate.datasets.synthetic(300, 80, 9000, kind="implicit", seed=1)
    assert (len(many), many.kind, many.weights) == (9000, "implicit", None)
    factors = palate.datasets.synthetic_factors(300, 80, seed=1)
    counts = np.bincount(many.user_codes, minlength=300)
    everybody = factors.scores(np.repeat(np.arange(300), 80), np.tile(np.arange(80), 300)).reshape(300, 80)
    chosen = np.zeros((300, 80), bool)
    chosen[many.user_codes, many.item_codes] = True
    assert chosen.sum() == 9000
    share = counts / 80
    some = share < 0.9
    own = (everybody * chosen).sum(1)[some] / chosen.sum(1)[some]
    assert (own - everybody[some].mean(1)).mean() > 0.15
    spread = np.sort(np.bincount(many.item_codes, minlength=80))
    assert spread[-8:].sum() > 2 * spread[:8].sum()
    again = palate.datasets.synthetic(300, 80, 9000, kind="implicit", seed=1)
    assert (again.item_codes == many.item_codes).all()


def test_synthetic_choices_need_some_noise():
    with pytest.raises(OptionError, match="kind='implicit', noise=0"):
        palate.datasets.synthetic(9, 9, 9, kind="implicit", noise=0)
    with pytest.raises(OptionError, match="kind='clicks'"):
        palate.datasets.synthetic(9, 9, 9, kind="clicks")


# ---- what models say


def test_an_explanation_says_chose_and_how_often(rec, counting, counted):
    told = rec.explain("u1", "i2")
    assert told.kind == "implicit"
    assert str(told).startswith(f"i2 for u1: score {told.prediction:.3f}\nbecause of\n")
    assert "  chose i" in str(told)
    assert "rated" not in str(told)
    assert "rating" not in str(told)
    assert sum(reason.contribution for reason in told.because) == pytest.approx(told.prediction, abs=1e-4)
    frame = counted.to_frame().filter(pl.col("user") == "u1")
    counts = dict(zip(frame["item"], frame["weight"], strict=True))
    told = counting.explain("u1", "i2")
    assert {reason.item: reason.rating for reason in told.because} == counts
    first = told.because[0]
    assert f"chose {first.item} ({first.rating:g})" in str(told)
    assert told.to_dict()["kind"] == "implicit"


def test_ratings_are_explained_as_before():
    told = palate.ALS(n_factors=2, n_sweeps=2).fit(palate.datasets.synthetic(50, 30, 600)).explain("u1", "i2")
    assert "  rated i" in str(told)
    assert "mean" in str(told)


def test_a_history_has_counts_where_there_are_any(rec, counting):
    assert rec.history("u1").columns == ["item"]
    assert counting.history("u1").columns == ["item", "count"]
    assert counting.history("u1")["count"].is_sorted(descending=True)


def test_a_cross_tab_has_counts_and_scores(rec, counting, counted):
    assert set(np.unique(rec.cross_tab().known[~np.isnan(rec.cross_tab().known)])) == {1}
    tab = counting.cross_tab(["u1"], ["i1", "i2", "i3"])
    frame = counted.to_frame().filter(pl.col("user") == "u1")
    counts = dict(zip(frame["item"], frame["weight"], strict=True))
    assert [counts.get(item) for item in tab.items] == [None if np.isnan(k) else k for k in tab.known[0].tolist()]
    assert "rating" not in str(tab)
    assert f"({tab.predicted[0, 0]:.2f})" in str(tab)


# ---- updates


def pairs_of(rec):
    history = rec.model.history
    weights = np.ones(len(history.indices)) if history.weights is None else history.weights
    users = rec.model.user_vocabulary.decode(np.repeat(np.arange(history.n_rows, dtype=np.int32), history.counts))
    items = rec.model.item_vocabulary.decode(history.indices)
    return dict(zip(zip(users.tolist(), items.tolist(), strict=True), weights.tolist(), strict=True))


def test_counts_of_an_update_add_up(counted, counting):
    frame = counted.to_frame()
    both = palate.read(pl.concat([frame, frame[:100]]), kind="implicit")
    assert pairs_of(counting.update(frame[:100])) == pairs_of(RECIPE.fit(both))
    some = set(PLAYS[:100].to_frame().select("user", "item").rows())
    once_more = {pair: count + (pair in some) for pair, count in pairs_of(counting).items()}
    assert pairs_of(counting.update(PLAYS[:100].to_frame())) == once_more


def test_choices_without_counts_stay_so(rec):
    again = rec.update(PLAYS[:50].to_frame())
    assert again.model.history.weights is None
    assert pairs_of(again) == pairs_of(rec)
    assert rec.update({"user": ["new"], "item": ["i3"]}).n_users == 51


def test_an_update_is_of_the_models_kind(rec):
    ratings = palate.datasets.synthetic(50, 30, 600)
    with pytest.raises(OptionError, match=r"ImplicitALS learned from implicit feedback.*likes"):
        rec.update(ratings)
    with pytest.raises(OptionError, match="ALS learned from ratings, and these are implicit feedback"):
        palate.ALS(n_factors=2, n_sweeps=2).fit(ratings).update(PLAYS)


# ---- models of likes know the threshold

STARS = palate.datasets.synthetic(50, 30, 600, seed=4)
LEARNERS = [RECIPE, palate.EASE(), palate.Neighbors(), palate.Neighbors(by="users"), palate.Popularity()]
NUMBERS = [{"i1": 1, "i2": 5}, {"i1": 1}, pl.DataFrame({"item": ["i1"], "rating": [5.0]})]
OTHERS = [
    {"user": ["u1"], "item": ["i1"], "rating": [1]},
    STARS.to_frame(),
    palate.read({"user": ["u1", "u1"], "item": ["i1", "i2"], "rating": [1, 5]}, kind="implicit", rating="rating"),
    STARS.likes(at_least=3),
    STARS,
]


@pytest.mark.parametrize("recipe", LEARNERS, ids=repr)
def test_a_model_of_likes_takes_no_ratings_for_choices(recipe, tmp_path):
    likes = STARS.likes(at_least=4)
    rec = recipe.fit(likes[likes.user_codes > 0])
    rec.save(tmp_path / "m.palate")
    for model in (rec, palate.load(tmp_path / "m.palate"), rec.forget(users=["u2"]), rec.compact()):
        for given in NUMBERS:
            with pytest.raises(OptionError, match=r"likes, ratings of 4 or more.*a list of the items that are rated 4"):
                model.fold_in(given)
        for given in OTHERS:
            with pytest.raises(OptionError, match=r"likes\(at_least="):
                model.update(given)
        assert model.fold_in(["i1", "i2"]).recommend(n=2).height == 2
        assert model.fold_in(pl.DataFrame({"item": ["i1"]})).recommend(n=2).height == 2
        for more in (likes, {"user": ["u1"], "item": ["i1"]}, likes.likes(at_least=1)):
            assert model.update(more).model.like_threshold == 4


def test_weighted_likes_stay_weighted():
    likes = STARS.with_weights(np.arange(1, 601)).likes(at_least=4)
    rec = RECIPE.fit(likes)
    weighted = pl.DataFrame({"item": ["i1", "i2"], "weight": [2.0, 90.0]})
    assert rec.fold_in(weighted).recommend(n=2).height == 2
    assert rec.update(likes[:20]).model.like_threshold == 4


# ---- the command line


def test_the_command_line_takes_no_ratings_for_likes(tmp_path):
    STARS.to_frame().write_csv(tmp_path / "stars.csv")
    RECIPE.fit(STARS.likes(at_least=4)).save(tmp_path / "m.palate")

    def run(*words):
        done = ask(*words, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    code, said = run("update", "m.palate", "stars.csv", "-o", "n.palate")
    assert (code != 0, "--likes 4" in said) == (True, True), said
    assert run("update", "m.palate", "stars.csv", "--likes", "4", "-o", "n.palate")[0] == 0
    code, said = run("recommend", "m.palate", "--like", "i1=5")
    assert (code != 0, "without a number" in said) == (True, True), said
    assert run("recommend", "m.palate", "--like", "i1", "--like", "i2")[0] == 0


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("choices")
    counted = PLAYS.with_weights(np.random.default_rng(0).integers(1, 40, len(PLAYS)))
    counted.to_frame().rename({"weight": "plays"}).write_csv(folder / "plays.csv")
    PLAYS.to_frame().write_csv(folder / "pairs.csv", include_header=False)
    palate.datasets.synthetic(50, 30, 600).to_frame().write_csv(folder / "stars.csv")
    options = ["--recipe", "ImplicitALS", "--n-factors", "4", "--n-sweeps", "3", "-o", "m.palate"]
    done = run(folder, "fit", "plays.csv", "--kind", "implicit", *options)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder, *words):
    return ask(*words, cwd=folder)


def test_a_model_of_choices_at_the_command_line(here):
    shown = run(here, "show", "m.palate").stdout
    assert "600 by 50 users of 30 items" in shown
    assert "choices " in shown
    assert "counts " in shown
    assert "rating" not in shown
    told = run(here, "explain", "m.palate", "u1", "i2").stdout
    assert "chose i" in told
    assert "score" in told
    assert "score" in run(here, "recommend", "m.palate", "u1").stdout


def test_somebody_new_who_chose(here):
    rows = json.loads(run(here, "recommend", "m.palate", "--like", "i2", "--like", "i5=30", "--json").stdout)
    rec = palate.load(here / "m.palate")
    assert [row["item"] for row in rows] == rec.fold_in({"i2": 1, "i5": 30}).recommend()["item"].to_list()


def test_an_update_file_is_read_as_the_model_is(here):
    (here / "more.csv").write_text("user,item,plays\nu1,i2,5\nnew,i3,2\n")
    done = run(here, "update", "m.palate", "more.csv", "-o", "n.palate")
    assert done.returncode == 0, done.stderr
    assert palate.load(here / "n.palate").n_users == 51


def test_likes_of_a_file_of_ratings(here):
    options = ["--recipe", "ImplicitALS", "--n-factors", "2", "--n-sweeps", "1", "-o", "l.palate"]
    done = run(here, "fit", "stars.csv", "--likes", "4", *options)
    assert done.returncode == 0, done.stderr
    expected = palate.read(here / "stars.csv").likes(4)
    assert len(palate.load(here / "l.palate").model.history.indices) == len(expected)
    refused = run(here, "fit", "stars.csv", *options)
    assert refused.returncode == 1
    assert "--likes 4" in refused.stderr
    taken = run(here, "fit", "stars.csv", "--likes", "4", "-o", "usual.palate")
    assert palate.load(here / "usual.palate").model.recipe["name"] == "ImplicitALS", taken.stderr
    refused = run(here, "fit", "plays.csv", "--kind", "implicit", "--recipe", "Bayes", "-o", "b.palate")
    assert "--recipe ImplicitALS" in refused.stderr
    assert not (here / "b.palate").exists()


def test_the_doctor_at_the_command_line(here):
    assert "choices" in run(here, "check", "pairs.csv", "--kind", "implicit").stdout
    assert "choices" in run(here, "check", "stars.csv", "--likes", "4").stdout
    refused = run(here, "check", "pairs.csv")
    assert "--kind implicit" in refused.stderr


def test_show_tells_the_measures_of_one_length_of_lists(here):
    options = ["--recipe", "EASE", "--dropout", "0.5", "--user-exponent", "0", "--test", "0.2", "-o", "e.palate"]
    done = run(here, "fit", "plays.csv", "--kind", "implicit", *options)
    assert done.returncode == 0, done.stderr
    noted = palate.load(here / "e.palate").model
    assert (noted.recipe["dropout"], noted.recipe["user_exponent"]) == (0.5, 0.0)
    shown = run(here, "show", "e.palate").stdout
    for name in ("ndcg@10", "recall@10", "auc"):
        assert f"{name} {noted.metrics['measures'][name]['value']:.4f}" in shown
    assert "@5" not in shown
    assert "\nfactors" not in shown  # weights between items have none
