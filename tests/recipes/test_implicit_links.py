"""ImplicitALS with tables: links from attributes to factors, and what users and items without choices get."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.rows import CompressedRows
from palate.errors import OptionError, TamperedModelError
from palate.models.implicit_links import LinkedFactors, RowLink
from palate.recipes.implicit_links import Attributes, LinkFit
from palate.storing import container

KINDS, TOWNS = ["tea", "jam", "milk", "bun"], ["north", "south", "east", "west"]


@pytest.fixture(scope="module")
def likes():
    """120 users of 4 towns who mostly choose the kind of item of their town; the last 12 rows have no choices."""
    rng = np.random.default_rng(0)
    towns, kinds = rng.integers(0, 4, 120), rng.integers(0, 4, 80)
    chance = np.where(towns[:, None] == kinds, 0.5, 0.04)
    users, items = np.nonzero(rng.random((120, 80)) < chance)
    keep = (users < 108) & (items < 68)
    return palate.Ratings(
        users[keep], items[keep], np.ones(keep.sum(), np.float32), kind="implicit",
        user_vocabulary=palate.Vocabulary.in_order([f"u{n}" for n in range(120)], what="user"),
        item_vocabulary=palate.Vocabulary.in_order([f"i{n}" for n in range(80)], what="item"),
        user_table=pl.DataFrame({"town": [TOWNS[at] for at in towns]}),
        item_table=pl.DataFrame({"kind": [KINDS[at] for at in kinds], "size": rng.integers(1, 40, 80)}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rec(likes):
    return palate.ImplicitALS(n_factors=8, weight_decay=0.05, seed=1).fit(likes, progress=False)


def without_tables(likes):
    return palate.Ratings(
        likes.user_codes, likes.item_codes, likes.values, kind="implicit",
        user_vocabulary=likes.user_vocabulary, item_vocabulary=likes.item_vocabulary,
    )  # fmt: skip


# ---- the link


def test_the_link_is_the_minimum_of_its_ridge(likes):
    """Against the normal equations of all features and the mean, in float64."""
    rng = np.random.default_rng(3)
    attributes = Attributes.of(likes.item_table)
    weights = rng.uniform(0.5, 4, 80).astype(np.float32)
    weights[68:] = 0
    fit, vectors = LinkFit(attributes, weights, 3, 1), rng.standard_normal((80, 3)).astype(np.float32)
    vectors[68:] = 100  # rows without choices have no part in it
    for _ in range(60):
        fit.strengths[:] = [7.0 if group == 0 else 2.0 for group in fit.groups]
        fit.learn(vectors)
    strengths = np.array([7.0 if group == 0 else 2.0 for group in fit.groups])
    F = np.zeros((80, len(fit.groups)))
    features = attributes.features
    F[np.repeat(np.arange(80), features.counts), features.indices] = features.values
    Z = np.column_stack([F, np.ones(80)])
    A = Z.T @ (weights[:, None] * Z) + np.diag([*strengths, 0])
    right = np.linalg.solve(A, Z.T @ (weights[:, None] * vectors.astype(np.float64)))
    np.testing.assert_allclose(np.vstack([fit.beta, fit.mean]), right, atol=2e-3)


def test_strengths_tell_a_column_that_matters_from_one_that_does_not():
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"kind": rng.integers(0, 8, 600).astype(str), "noise": rng.integers(0, 8, 600).astype(str)})
    vectors = rng.standard_normal((8, 4))[table["kind"].cast(pl.Int64).to_numpy()] + 0.5 * rng.standard_normal((600, 4))
    fit = LinkFit(Attributes.of(table), np.ones(600, np.float32), 4, 1)
    for _ in range(8):
        fit.learn(vectors.astype(np.float32))
    kind, noise = fit.strengths[0], fit.strengths[-1]
    assert noise > 5 * kind


# ---- what a fit gives


def test_every_row_with_choices_is_the_optimum_around_its_prior_mean(rec, likes):
    """The users' gradient is 0: sum_chosen w y (x.y - 1) + a0 Y'Y x + ridge (x - mean), over items with choices."""
    factors = rec.model.factors
    items = factors.items[:, :-1].astype(np.float64)
    rows = likes.by_user()
    means = factors.user_link.means(rec.model.user_info.matrix(rows, rec.model.user_info.encode(likes.user_table)))
    ridge = factors.problem.ridge(rows.counts, 80).astype(np.float64)
    background = factors.unobserved_weight * items[:68].T @ items[:68]
    for user in range(0, 108, 9):
        x, chosen = (
            factors.users[user, :-1].astype(np.float64),
            items[rows.indices[rows.indptr[user] : rows.indptr[user + 1]]],
        )
        gradient = chosen.T @ (chosen @ x - 1) + background @ x + ridge[user] * (x - means[user, :-1])
        np.testing.assert_allclose(gradient, 0, atol=2e-4)


def test_rows_without_choices_get_what_their_attributes_say(rec, likes):
    model = rec.model
    for vectors, link, info, table, first in (
        (model.factors.users, model.factors.user_link, model.user_info, likes.user_table, 108),
        (model.factors.items, model.factors.item_link, model.item_info, likes.item_table, 68),
    ):
        features = info.matrix(CompressedRows.empty(table.height), info.encode(table))
        np.testing.assert_allclose(vectors[first:], link.means(features)[first:], atol=1e-6)


def test_items_without_choices_are_recommended_to_those_who_choose_their_kind(rec, likes):
    """The planted truth: users choose the kind of their town. Without the table such items are at chance."""
    users = [f"u{n}" for n in range(108)]
    lists = rec.recommend(users, n=3, items=[f"i{n}" for n in range(68, 80)])
    town_of = dict(zip(likes.user_vocabulary, likes.user_table["town"], strict=True))
    kind_of = dict(zip(likes.item_vocabulary, likes.item_table["kind"], strict=True))
    right = [TOWNS.index(town_of[u]) == KINDS.index(kind_of[i]) for u, i in lists.select("user", "item").rows()]
    present = {kind_of[f"i{n}"] for n in range(68, 80)}
    possible = [KINDS[TOWNS.index(town_of[u])] in present for u in lists["user"]]
    assert np.mean(np.array(right)[possible]) > 0.6
    assert set(rec.recommend("u0", n=80, keep_seen=True)["item"]) >= {f"i{n}" for n in range(68, 80)}


def test_users_without_choices_get_lists_of_their_own(rec, likes):
    kind_of = dict(zip(likes.item_vocabulary, likes.item_table["kind"], strict=True))
    for n in range(108, 120):
        top = rec.recommend(f"u{n}", n=5)["item"]
        wanted = KINDS[TOWNS.index(likes.user_table["town"][n])]
        assert np.mean([kind_of[item] == wanted for item in top]) >= 0.6


def test_without_a_table_or_with_features_off_nothing_changes(likes):
    recipe = palate.ImplicitALS(n_factors=8, weight_decay=0.05, seed=1)
    plain = recipe.fit(without_tables(likes), progress=False).model.factors
    off = palate.ImplicitALS(n_factors=8, weight_decay=0.05, seed=1, features=False).fit(likes, progress=False)
    assert off.model.factors.users.tobytes() == plain.users.tobytes()
    assert off.model.factors.items.tobytes() == plain.items.tobytes()
    assert off.model.item_info is None and not isinstance(plain, LinkedFactors)
    with pytest.raises(OptionError, match="features"):
        palate.ImplicitALS(features="yes")


def test_a_table_without_features_is_no_table(likes):
    titles = without_tables(likes).with_items(
        {"item": [f"i{n}" for n in range(80)], "name": [f"x{n}q" for n in range(80)]}
    )
    assert not isinstance(palate.ImplicitALS(n_factors=4).fit(titles, progress=False).model.factors, LinkedFactors)


def test_any_number_of_threads_gives_the_same_bytes(likes):
    one, *others = (palate.ImplicitALS(n_factors=5, n_threads=n).fit(likes, progress=False).model for n in (1, 2, 3))
    for other in others:
        assert other.factors.users.tobytes() == one.factors.users.tobytes()
        assert other.factors.item_link.beta.tobytes() == one.factors.item_link.beta.tobytes()


# ---- new users and items


def test_a_copy_of_a_user_folds_in_to_the_same_vector(rec, likes):
    for user in ("u0", "u50", "u115"):
        code = likes.user_vocabulary.encode_one(user)
        chosen = rec.history(user)["item"].to_list()
        new = rec.fold_in(chosen, features=likes.user_table.row(code, named=True))
        np.testing.assert_allclose(new.vector, rec.model.factors.users[code], atol=1e-5)


def test_attributes_of_a_fold_in(rec):
    north, south = (rec.fold_in([], features={"town": town}) for town in ("north", "south"))
    assert north.recommend(n=5)["item"].to_list() != south.recommend(n=5)["item"].to_list()
    np.testing.assert_array_equal(rec.fold_in([], features={}).vector, rec.model.factors.user_prior.mean)
    np.testing.assert_array_equal(rec.fold_in([]).vector, rec.model.factors.user_prior.mean)
    many = rec.fold_in([["i1"], []], features=[{"town": "north"}, {"town": "south"}])
    np.testing.assert_array_equal(many.vectors[1], south.vector)


def test_update_brings_items_and_users_that_only_a_table_names(rec, tmp_path):
    items = pl.DataFrame({"item": ["new tea", "new jam"], "kind": ["tea", "jam"], "size": [5, 6]})
    users = pl.DataFrame({"user": ["nina"], "town": ["north"]})
    larger = rec.update(items=items, users=users)
    assert (larger.n_users, larger.n_items) == (121, 82)
    folded = rec.fold_in([], side="item", features={"kind": "tea", "size": 5})
    at = larger.model.item_vocabulary.encode_one("new tea")
    np.testing.assert_allclose(larger.model.factors.items[at], folded.vector, atol=1e-6)
    fan = rec.model.user_vocabulary.decode([int(np.argmax(rec.model.factors.users @ folded.vector))])[0]
    lists = larger.recommend(fan, n=82, keep_seen=True)["item"].to_list()
    assert lists.index("new tea") < lists.index("new jam")
    assert larger.recommend("nina", n=3).height == 3
    for user in ("u3", "u50"):  # nobody else changes
        np.testing.assert_array_equal(larger.predict(user, "i5"), rec.predict(user, "i5"))
    chosen = larger.update({"user": ["u3"], "item": ["new tea"]})
    assert chosen.history("u3")["item"].to_list().count("new tea") == 1
    with pytest.raises(OptionError, match="update needs"):
        rec.update()
    larger.save(tmp_path / "larger.palate")
    assert palate.load(tmp_path / "larger.palate").recommend("nina", n=5).equals(larger.recommend("nina", n=5))


def test_an_update_is_a_fold_in_where_all_is_new(rec, likes):
    larger = rec.update(
        {"user": ["nina"] * 3, "item": ["i1", "i4", "i9"]}, users=pl.DataFrame({"user": ["nina"], "town": ["east"]})
    )
    folded = rec.fold_in(["i1", "i4", "i9"], features={"town": "east"})
    np.testing.assert_allclose(larger.model.factors.users[-1], folded.vector, atol=1e-5)


def test_who_loses_all_choices_is_described_by_the_table_again(rec, likes):
    smaller = rec.forget(items=rec.history("u7")["item"].to_list())
    same_town = [n for n in range(108, 120) if likes.user_table["town"][n] == likes.user_table["town"][7]]
    at = smaller.model.user_vocabulary.encode_one("u7")
    np.testing.assert_allclose(smaller.model.factors.users[at], rec.model.factors.users[same_town[0]], atol=1e-6)


# ---- explained and saved


@pytest.mark.parametrize("user", ["u0", "u31", "u110"])
def test_explanations_add_up_and_tell_what_the_table_did(rec, user):
    why = rec.explain(user, "i3")
    assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-6)
    assert why.prediction == pytest.approx(rec.predict(user, "i3").prediction, abs=1e-5)
    assert list(why.known) == ["town"]
    own = sum(reason.contribution for reason in why.because)
    item = rec.model.factors.items[3].astype(np.float64)
    whole = own + why.known["town"] + why.rest
    assert whole == pytest.approx(why.prediction, abs=1e-5)
    if user == "u110":  # without choices: the town and the mean are all there is
        assert why.rest == pytest.approx(item @ rec.model.factors.user_link.mean, abs=1e-5)


def test_what_the_table_did_is_the_change_without_it(rec, likes):
    user = "u31"
    chosen = rec.history(user)["item"].to_list()
    town = likes.user_table["town"][31]
    told, untold = (rec.fold_in(chosen, features=features).predict("i3") for features in ({"town": town}, {}))
    assert rec.explain(user, "i3").known["town"] == pytest.approx(told.prediction - untold.prediction, abs=1e-5)


def answers(rec):
    new = rec.fold_in(["i1", "i3"], features={"town": "west"})
    cold = rec.fold_in([], side="item", features={"kind": "jam"})
    return [
        rec.predict(["u1", "u115", "nobody"], ["i1", "i75", "i2"]).rows(),
        rec.recommend(["u1", "u115", "nobody"], n=4).rows(),
        rec.similar_items("i75", n=4).rows(), rec.similar_users("u115", n=4).rows(),
        new.recommend(n=4).rows(), cold.predict(["u1", "u2"]).rows(), rec.explain("u1", "i5").to_dict(),
    ]  # fmt: skip


def test_a_saved_model_answers_the_same(rec, tmp_path):
    rec.save(tmp_path / "model.palate")
    assert repr(answers(palate.load(tmp_path / "model.palate"))) == repr(answers(rec))


def test_items_without_choices_are_similar_to_their_kind(rec, likes):
    kinds = likes.item_table["kind"].to_list()
    similar = rec.similar_items("i75", n=5)["item"].to_list()
    assert np.mean([kinds[int(item[1:])] == kinds[75] for item in similar]) >= 0.6


@pytest.mark.parametrize("change", ["a feature too many", "no link", "a bias", "not finite"])
def test_files_whose_link_does_not_fit_are_refused(rec, tmp_path, change):
    rec.save(tmp_path / "model.palate")
    tensors, header = container.read(tmp_path / "model.palate", copy=True)
    tensors = {name: np.array(values) for name, values in tensors.items()}
    if change == "a feature too many":
        tensors["item.link"] = np.pad(tensors["item.link"], ((0, 1), (0, 0)))
    elif change == "no link":
        del tensors["item.link"]
    else:
        tensors["user.link"][0, -1] = 1 if change == "a bias" else np.nan
    container.write(tmp_path / "other.palate", tensors, header)
    with pytest.raises(TamperedModelError):
        palate.load(tmp_path / "other.palate")


def test_the_gram_matrix_is_that_of_items_with_choices(rec):
    factors = rec.model.factors
    items = factors.items[:68, :-1].astype(np.float64)
    np.testing.assert_allclose(factors.background, factors.unobserved_weight * items.T @ items, rtol=1e-4, atol=1e-5)
    turned = rec.model.transposed().factors
    users = factors.users[:108, :-1].astype(np.float64)
    np.testing.assert_allclose(turned.background, factors.unobserved_weight * users.T @ users, rtol=1e-4, atol=1e-5)


def test_means_of_rows_without_features():
    link = RowLink(np.array([1, 2, 0], np.float32), np.zeros((4, 3), np.float32))
    np.testing.assert_array_equal(link.means_of(None, 2), [[1, 2, 0], [1, 2, 0]])


# ---- real data


def test_films_that_nobody_chose_are_found_by_their_genres():
    """On ml-100k, a tenth of the films withheld: lists of them are better than by their ids, that is by date."""
    likes = palate.datasets.load("ml-100k").likes(at_least=4)
    chosen = np.flatnonzero(np.bincount(likes.item_codes))
    cold = np.random.default_rng(0).permutation(chosen)[: len(chosen) // 10]
    train, test = palate.split_rows(likes, np.isin(likes.item_codes, cold))
    rec = palate.ImplicitALS(n_factors=32, weight_decay=0.02).fit(train, progress=False)
    report = palate.evaluate(rec, test, k=20, n_bootstrap=20)
    assert report["cold_ndcg@20"] > report.baselines["Popularity"]["cold_ndcg@20"].value + 0.05
