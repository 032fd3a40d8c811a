"""Blend: scores are weighted sums, weights rank hidden choices best, and every part answers as it does alone."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.rows import take_rows
from palate.errors import OptionError, TamperedModelError
from palate.kernels import rank_targets_of
from palate.recipes import blend_weights
from palate.recipes.blend_weights import choose_weights, lattice, model_scores, scale_of
from palate.recipes.hidden import Hidden, ndcg_of
from palate.storing import container

EASE, ALS = palate.EASE(weight_decay=50.0), palate.ImplicitALS(n_factors=6, weight_decay=0.05)
NEIGHBORS, BPR, POPULARITY = palate.Neighbors(), palate.BPR(n_factors=5, n_epochs=8), palate.Popularity()
FOUR = [EASE, ALS, NEIGHBORS, POPULARITY]


def choices(n_users=150, n_items=40, n=2400, seed=1, counts=False):
    likes = palate.datasets.synthetic(n_users, n_items, n, seed=seed).likes(at_least=4)
    return likes.with_weights(np.random.default_rng(seed).integers(1, 9, len(likes))) if counts else likes


def scores_of(rec):
    return rec.model.scores(rec.model.user_rows(np.arange(rec.n_users, dtype=np.int32)))


def fitted(recipe, likes):
    return recipe.fit(likes, progress=False)


# ---- scores


@pytest.mark.parametrize("counts", [False, True], ids=["choices", "counts"])
@pytest.mark.parametrize("parts", [[EASE, ALS], FOUR, [ALS, BPR]], ids=len)
def test_scores_are_the_weighted_sum_of_the_parts_over_their_scales(parts, counts):
    likes = choices(counts=counts)
    weights = np.arange(1.0, 1 + len(parts))
    rec = fitted(palate.Blend(parts, weights=weights), likes)
    expected = np.zeros((likes.n_users, likes.n_items))
    for part, weight in zip(parts, weights / weights.sum(), strict=True):
        own = scores_of(fitted(part, likes)).astype(np.float64)
        rated = np.flatnonzero(likes.by_user().counts)
        expected += weight * own / own[rated].std(axis=1).mean()
    np.testing.assert_allclose(scores_of(rec), expected, rtol=1e-4, atol=1e-4)


def test_a_new_user_has_the_scores_of_the_parts_folded_in():
    likes, chosen = choices(), ["i1", "i7", "i30"]
    parts = [EASE, ALS, NEIGHBORS]
    rec = fitted(palate.Blend(parts, weights=[1, 2, 3]), likes)
    multipliers = [part.multiplier for part in rec.model.factors.parts]
    alone = [fitted(part, likes).fold_in(chosen).predict(list(rec.model.item_vocabulary)) for part in parts]
    expected = sum(m * own["prediction"].to_numpy() for m, own in zip(multipliers, alone, strict=True))
    found = rec.fold_in(chosen).predict(list(rec.model.item_vocabulary))["prediction"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_count_in_proportion_and_a_part_of_weight_0_is_left_out():
    likes = choices()
    one, two = (fitted(palate.Blend([EASE, ALS, POPULARITY], weights=w), likes) for w in ([1, 3, 0], [10, 30, 0]))
    np.testing.assert_array_equal(scores_of(one), scores_of(two))
    assert [part.name for part in one.model.factors.parts] == ["EASE", "ImplicitALS"]
    assert one.model.training["weights"] == {"EASE": 0.25, "ImplicitALS": 0.75, "Popularity": 0.0}
    only = fitted(palate.Blend([EASE, POPULARITY], weights=[1, 0]), likes)
    assert only.recommend(n=5).drop("score").equals(fitted(EASE, likes).recommend(n=5).drop("score"))


def test_two_parts_of_one_recipe_are_told_apart_by_their_options():
    small, large = palate.ImplicitALS(n_factors=3), palate.ImplicitALS(n_factors=6)
    rec = fitted(palate.Blend([small, large]), choices(60, 20, 500))
    assert list(rec.explain("u1", "i3").blend) == ["ImplicitALS(n_factors=3)", "ImplicitALS(n_factors=6)"]
    assert rec.n_factors == 9


# ---- weights


@pytest.mark.parametrize(("n", "step"), [(2, 10), (3, 7), (4, 4), (5, 3), (6, 2), (7, 2), (8, 2)])
def test_the_lattice_holds_all_multiples_of_its_step_and_the_most_even_first(n, step):
    points = lattice(n)
    by_hand = {whole for whole in product(range(step + 1), repeat=n) if sum(whole) == step}
    assert {tuple(point) for point in np.rint(points * step).astype(int).tolist()} == by_hand
    np.testing.assert_allclose(points.sum(axis=1), 1)
    assert (np.diff(np.square(points).sum(axis=1)) >= -1e-12).all()


def hidden_and_models(likes, recipes):
    hidden = Hidden.of(likes.by_user(), None, 500)
    users = np.repeat(np.arange(likes.n_users), hidden.rest.counts)
    rest = palate.Ratings(
        users, hidden.rest.indices, hidden.rest.values,
        user_vocabulary=likes.user_vocabulary, item_vocabulary=likes.item_vocabulary, kind="implicit",
    )  # fmt: skip
    return hidden, [fitted(recipe, rest).model.factors for recipe in recipes]


def test_the_weights_are_those_that_rank_hidden_choices_best(monkeypatch):
    """By brute force: every point of the lattice, each part alone among them; in blocks and at once."""
    hidden, models = hidden_and_models(choices(200, n=4000), [EASE, ALS])
    users, seen = hidden.users, take_rows(hidden.rest, hidden.users)
    scores = [model_scores(model, users, seen) / scale_of(model, hidden.rest) for model in models]

    def mean_ndcg(weights):
        total = np.float32(weights[0]) * scores[0] + np.float32(weights[1]) * scores[1]
        targets = hidden.targets
        ranks = rank_targets_of(
            total.astype(np.float32), targets.indptr, targets.indices,
            seen_indptr=seen.indptr, seen_indices=seen.indices,
        )[0]  # fmt: skip
        return ndcg_of(targets, ranks).mean()

    found = choose_weights(models, hidden)
    best = max(mean_ndcg((w / 10, 1 - w / 10)) for w in range(11))
    assert mean_ndcg(found) == pytest.approx(best, abs=1e-6)
    assert mean_ndcg(found) >= max(mean_ndcg((1, 0)), mean_ndcg((0, 1))) - 1e-9
    monkeypatch.setattr("palate.recipes.hidden.BLOCK_SCORES", 700)  # some users at a time
    np.testing.assert_array_equal(choose_weights(models, hidden), found)


def test_a_part_that_only_harms_gets_no_weight():
    hidden, (good,) = hidden_and_models(choices(300, 60, 9000), [palate.EASE()])
    noise = np.random.default_rng(0).normal(size=good.weights.shape).astype(np.float32)
    weights = choose_weights([good, type(good).of(good, history=good.history, weights=noise)], hidden)
    assert weights[0] >= 0.9


def test_few_users_get_equal_weights():
    rec = fitted(palate.Blend([EASE, ALS]), choices(60, 40, 1200))
    assert rec.model.training["weights"] == {"EASE": 0.5, "ImplicitALS": 0.5}


def test_scores_that_are_all_equal_have_the_scale_1():
    likes = choices(60, 20, 500)
    model = fitted(palate.Mean(), palate.datasets.synthetic(60, 20, 500, seed=1)).model.factors
    assert scale_of(model, likes.by_user()) == 1.0


def test_a_fit_says_what_its_parts_chose():
    rec = fitted(palate.Blend([palate.EASE(), palate.ImplicitALS(n_factors=4)]), choices())
    taken = rec.model.training["parts"]
    assert taken["EASE"]["weight_decay"] == fitted(palate.EASE(), choices()).model.training["weight_decay"]
    assert set(taken) == {"EASE", "ImplicitALS"}
    assert sum(rec.model.training["weights"].values()) == pytest.approx(1)


@pytest.mark.long
def test_on_real_data_a_blend_is_no_worse_than_its_best_part():
    data = palate.datasets.load("ml-100k").likes(at_least=4)
    train, _ = palate.split_within_users(data, test=0.2, seed=0)  # the test part is not looked at
    inner, valid = palate.split_within_users(train, test=0.2, seed=1)
    recipes = [palate.SparseEASE(), palate.ImplicitALS(), palate.Blend()]
    sparse, als, blend = (
        palate.evaluate(fitted(recipe, inner), valid, k=10, baselines=False, n_bootstrap=5)["ndcg@10"]
        for recipe in recipes
    )
    assert blend > max(sparse, als) - 0.002
    assert blend > 0.217


# ---- explanations


@pytest.mark.parametrize("parts", [[EASE, ALS], [palate.SparseEASE(k=9), ALS], [ALS, NEIGHBORS]], ids=["E", "S", "N"])
def test_each_choice_contributes_what_it_contributes_to_the_parts(parts):
    """Exactly: shares of parts and of choices add up to the score, and nothing is left over."""
    likes = choices(80, 30, 1200, counts=True)
    rec = fitted(palate.Blend(parts, weights=[2, 1]), likes)
    alone = [fitted(part, likes) for part in parts]
    for user, item in (("u1", "i3"), ("u20", "i29"), ("u4", "i0")):
        why = rec.explain(user, item)
        shares = {name: part.multiplier for name, part in zip(why.blend, rec.model.factors.parts, strict=True)}
        for (name, multiplier), own in zip(shares.items(), alone, strict=True):
            assert why.blend[name] == pytest.approx(multiplier * own.predict(user, item).prediction, abs=1e-5)
        assert sum(why.blend.values()) == pytest.approx(why.prediction, abs=1e-5)
        assert sum(reason.contribution for reason in why.because) == pytest.approx(why.prediction, abs=1e-4)
        assert why.rest == pytest.approx(0, abs=1e-4)
        reasons = [{r.item: r.contribution for r in own.explain(user, item).because} for own in alone]
        for reason in why.because:
            expected = sum(m * of[reason.item] for m, of in zip(shares.values(), reasons, strict=True))
            assert reason.contribution == pytest.approx(expected, abs=1e-5)
    assert "(" + ", ".join(f"{n} {s:+.3f}" for n, s in why.blend.items()) + ")" in str(why)
    assert why.to_dict()["blend"] == why.blend


def test_what_no_choice_explains_is_the_rest():
    rec = fitted(palate.Blend([EASE, POPULARITY]), choices())
    why = rec.explain("u1", "i3")
    assert why.rest == pytest.approx(why.blend["Popularity"], abs=1e-5)
    assert fitted(EASE, choices()).explain("u1", "i3").blend == {}


# ---- updates


def test_an_update_updates_each_part_as_if_it_were_alone():
    likes = choices(100, 30, 1500)
    more = {"user": ["u1", "u1", "newcomer", "newcomer"], "item": ["i2", "i5", "i7", "i9"]}
    more = palate.read(more, kind="implicit")
    parts = [EASE, ALS, palate.Neighbors(by="users")]
    rec = fitted(palate.Blend(parts, weights=[1, 2, 1]), likes)
    multipliers = [part.multiplier for part in rec.model.factors.parts]
    after = rec.update(more)
    alone = [scores_of(fitted(part, likes).update(more)) for part in parts]
    expected = sum(m * own for m, own in zip(multipliers, alone, strict=True))
    np.testing.assert_allclose(scores_of(after), expected, rtol=1e-4, atol=1e-4)
    assert after.n_users == 101
    assert len(after.model.training["updates"]) == 1
    for part in after.model.factors.parts:
        assert getattr(part.factors, "history", after.model.history) is after.model.history


def test_a_blend_forgets_as_its_parts_do():
    likes = choices(100, 30, 1500)
    rec = fitted(palate.Blend([EASE, ALS], weights=[1, 2]), likes)
    multipliers = [part.multiplier for part in rec.model.factors.parts]
    left = rec.forget(users=["u3", "u8"], items=["i2"])
    alone = [scores_of(fitted(part, likes).forget(users=["u3", "u8"], items=["i2"])) for part in (EASE, ALS)]
    expected = sum(m * own for m, own in zip(multipliers, alone, strict=True))
    np.testing.assert_allclose(scores_of(left), expected, rtol=1e-4, atol=1e-4)
    assert (left.n_users, left.n_items) == (98, 29)


def test_what_one_part_cannot_update_is_refused():
    likes = choices(60, 20, 500)
    new = palate.read({"user": ["u1"], "item": ["unheard of"]}, kind="implicit")
    with pytest.raises(OptionError, match="Blend computes item-item weights in a fit only"):
        fitted(palate.Blend([palate.Neighbors(k=5), ALS]), likes).update(new)
    with pytest.raises(OptionError, match="BPR cannot be updated"):
        fitted(palate.Blend([ALS, BPR]), likes).update(new)
    for part in (POPULARITY, EASE):
        assert fitted(palate.Blend([ALS, part]), likes).update(new).n_items == likes.n_items + 1


def test_each_part_is_updated_with_choices_of_new_items_as_if_it_were_alone():
    likes = choices(60, 20, 500)
    new = palate.read({"user": ["u1", "u2", "u3", "u9"], "item": ["unheard of"] * 4}, kind="implicit")
    after = fitted(palate.Blend([EASE, ALS], weights=[1, 3]), likes).update(new)
    alone = [fitted(part, likes).update(new) for part in (EASE, ALS)]
    for part, rec in zip(after.model.factors.parts, alone, strict=True):
        np.testing.assert_array_equal(part.factors.items, rec.model.factors.items)
    weights, own = after.model.factors.parts[0].factors.weights, alone[0].model.factors.weights
    np.testing.assert_array_equal(weights, own)
    assert weights[:, -1].any()


def test_parts_leave_tables_aside(tmp_path):
    likes = choices(60, 20, 500)
    kinds = pl.DataFrame({"item": likes.item_vocabulary.labels, "kind": ["a", "b"] * (likes.n_items // 2)})
    told, plain = (fitted(palate.Blend([EASE, ALS]), each) for each in (likes.with_items(kinds), likes))
    assert told.predict("u1", "i2")[0] == plain.predict("u1", "i2")[0]
    told.save(tmp_path / "m.palate")
    assert palate.load(tmp_path / "m.palate").recommend("u1", n=3, where="kind = 'a'").height == 3


# ---- similar, files, other rooms


def test_similar_items_are_recommended_to_somebody_who_chose_one():
    rec = fitted(palate.Blend([EASE, ALS]), choices())
    alike, listed = rec.similar_items("i4", n=5), rec.fold_in(["i4"]).recommend(n=5)
    assert alike["item"].to_list() == listed["item"].to_list()
    np.testing.assert_allclose(alike["score"], listed["score"], rtol=1e-5)


@pytest.mark.parametrize("parts", [FOUR, [ALS, palate.ImplicitALS(n_factors=3), BPR]], ids=["four", "factors"])
def test_a_file_holds_every_part(parts, tmp_path):
    rec = fitted(palate.Blend(parts), choices(counts=True))
    rec.save(tmp_path / "a.palate")
    again = palate.load(tmp_path / "a.palate")
    np.testing.assert_array_equal(scores_of(again), scores_of(rec))
    again.save(tmp_path / "b.palate")
    assert (tmp_path / "a.palate").read_bytes() == (tmp_path / "b.palate").read_bytes()
    mapped = palate.load(tmp_path / "a.palate", copy=False)
    np.testing.assert_array_equal(scores_of(mapped), scores_of(rec))


def changed(header, **more):
    """The header of a blend with other fields in its first part."""
    blend = header["factors"]["histories"]["blend"]
    first, *others = blend["parts"]
    return header | {
        "factors": header["factors"] | {"histories": {"blend": blend | {"parts": [first | more, *others]}}}
    }


@pytest.mark.parametrize(
    "more",
    [{"n_factors": -1}, {"n_factors": 5}, {"multiplier": 0.0}, {"multiplier": -2.0}, {"multiplier": 1e300},
     {"multiplier": None}, {"name": "ImplicitALS"}, {"factors": {"mean": 0.0, "scale": 1.0, "y_range": [0, 1]}},
     {"factors": {"mean": 0.0, "scale": 0.0}}, {"factors": {}}, {"user_prior": {}},
     {"factors": {"mean": 0.0, "scale": 1.0, "histories": {"blend": {"confidence": "equal", "parts": []}}}}],
    ids=str,
)  # fmt: skip
def test_hostile_headers_are_refused(more, tmp_path):
    path = tmp_path / "a.palate"
    fitted(palate.Blend([EASE, ALS]), choices(30, 10, 120)).save(path)
    tensors, header = container.read(path)
    container.write(path, tensors, changed(header, **more))
    with pytest.raises(TamperedModelError):
        palate.load(path)


@pytest.mark.parametrize("name", ["blend.0.item.weights", "blend.1.user.mean", "blend.0.user.precision"])
def test_a_tensor_that_is_missing_or_has_another_shape_is_refused(name, tmp_path):
    path = tmp_path / "a.palate"
    fitted(palate.Blend([EASE, ALS]), choices(30, 10, 120)).save(path)
    tensors, header = container.read(path)
    without = {other: tensor for other, tensor in tensors.items() if other != name}
    for wrong in (without, tensors | {name: tensors[name].reshape(-1)[:-1].copy()}):
        container.write(path, wrong, header)
        with pytest.raises(TamperedModelError):
            palate.load(path)


# ---- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parts": "EASE"}, "must be a list"), ({"parts": palate.EASE()}, "must be a list"), ({"parts": 3}, "must"),
        ({"parts": []}, "2 to 8 recipes, got 0"), ({"parts": ["EASE"]}, "2 to 8 recipes, got 1"),
        ({"parts": ["EASE", "ease"]}, "one recipe twice"), ({"parts": ["EASE", "Bayes"]}, "'Bayes' is none of"),
        ({"parts": ["EASE", palate.Blend()]}, "is none of"), ({"parts": [palate.EASE, "BPR"]}, "is none of"),
        ({"parts": [palate.BPR(seed=at) for at in range(9)]}, "got 9"), ({"weights": [1]}, "2 numbers"),
        ({"weights": [1, -1]}, "2 numbers"), ({"weights": [0, 0]}, "not all 0"), ({"weights": [1, np.nan]}, "2 num"),
        ({"weights": [1, np.inf]}, "2 numbers"), ({"weights": "ab"}, "list of numbers"), ({"weights": 3}, "list of"),
        ({"seed": -1}, "seed"), ({"n_threads": -1}, "n_threads"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        palate.Blend(**options)


def test_ratings_are_refused():
    with pytest.raises(OptionError, match="Blend learns from implicit feedback"):
        palate.Blend().fit(palate.datasets.synthetic(20, 10, 100, seed=1))


def test_seed_and_threads_take_the_place_of_those_of_the_parts():
    parts = palate.Blend([EASE, ALS], seed=7, n_threads=2).recipes
    assert parts["ImplicitALS"].seed == 7
    assert {part.n_threads for part in parts.values()} == {2}
    assert palate.Blend([EASE, palate.BPR(seed=3)]).recipes["BPR"].seed == 3


@given(st.integers(1, 500), st.floats(0, 0.99))
def test_with_options_reaches_own_options_and_those_of_the_parts(n_factors, dropout):
    blend = palate.Blend(["EASE", "ImplicitALS"])
    found = blend.with_options({"ImplicitALS.n_factors": n_factors, "EASE.dropout": dropout, "seed": 3})
    parts = [palate.EASE(dropout=dropout), palate.ImplicitALS(n_factors=n_factors)]
    assert found == palate.Blend(parts, seed=3)
    assert blend.with_options({}) == blend
    assert eval(found.label(), {"Blend": palate.Blend, "EASE": palate.EASE, "ImplicitALS": palate.ImplicitALS}) == found


@pytest.mark.parametrize("name", ["BPR.seed", "EASE.k", "weight_decay", "EASE."])
def test_options_of_no_part_are_refused(name):
    with pytest.raises(OptionError, match="has no"):
        palate.Blend(["EASE", "ImplicitALS"]).with_options({name: 1})


def test_where_ease_goes_on_as_sparse_ease_the_weights_are_chosen_with_that(monkeypatch):
    monkeypatch.setattr("palate.recipes.ease.PATIENCE", -1)
    rec = fitted(palate.Blend([palate.EASE(), ALS]), choices())
    assert rec.model.training["parts"]["EASE"]["k"] == 120
    assert set(rec.model.training["weights"]) == {"EASE", "ImplicitALS"}


@pytest.mark.parametrize("at", [0, 1])
def test_ctrl_c_ends_the_fit(at, monkeypatch):
    """There is no blend of some parts only."""
    recipe = [palate.EASE, palate.ImplicitALS][at]

    def interrupted(self, ratings, monitor):
        monitor.interrupted()
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "_fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted(palate.Blend([EASE, ALS]), choices(60, 20, 500))


def test_the_progress_line_names_the_parts(capsys):
    palate.Blend([EASE, ALS]).fit(choices(60, 20, 500), progress=True)
    assert "Blend" in capsys.readouterr().err
    assert blend_weights.FINEST == 10
