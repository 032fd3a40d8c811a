"""SparseEASE: EASE where supports hold everything, supports by cosine, chosen settings, what a fit needs."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.rows import CompressedRows
from palate.errors import OptionError
from palate.models.history_factors import to_dense
from palate.models.item_supports import SparseGram, by_popularity, rising
from palate.models.item_weights import check_rows
from palate.recipes import ease, sparse_choice

GIVEN = {"weight_decay": 5.0, "user_exponent": 0.5, "item_exponent": 0.1}


def choices(n_users=120, n_items=40, n=1500, seed=1, counts=False):
    likes = palate.datasets.synthetic(n_users, n_items, n, seed=seed).likes(at_least=4)
    return likes.with_weights(np.random.default_rng(seed).integers(1, 9, len(likes))) if counts else likes


def dense_weights(rec):
    weights = rec.model.factors.weights
    return to_dense(weights, len(rec.model.item_vocabulary)) if isinstance(weights, CompressedRows) else weights


@pytest.mark.parametrize("counts", [False, True], ids=["choices", "counts"])
def test_with_every_item_in_the_supports_it_is_ease(counts):
    likes = choices(200, 20, 3500, counts=counts)
    dense = palate.EASE(**GIVEN).fit(likes, progress=False)
    sparse = palate.SparseEASE(k=1000, **GIVEN).fit(likes, progress=False)
    mine, theirs = dense_weights(sparse), dense_weights(dense)
    together = to_dense(likes.by_user(), likes.n_items)
    assert (together.T @ together > 0).all()  # so that every item is in the support of every other one
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-6)


def test_two_items_that_nobody_chose_together_are_in_no_support_of_each_other():
    likes = choices()
    weights = dense_weights(palate.SparseEASE(k=1000, **GIVEN).fit(likes, progress=False))
    together = to_dense(likes.by_user(), likes.n_items)
    meet = together.T @ together > 0
    assert not meet.all()
    np.testing.assert_array_equal(weights != 0, meet & ~np.eye(likes.n_items, dtype=bool))


def test_a_support_holds_the_items_of_the_largest_cosines():
    likes = choices()
    chosen = by_popularity(likes.item_codes)
    X = rising(likes.by_user(), None, chosen, 0.5)
    G = SparseGram.of(X)
    dense = to_dense(X.by_user, X.n_items).astype(float)
    full = dense.T @ np.diag(X.user_weights.astype(float)) @ dense
    np.testing.assert_allclose(G.diagonal, np.diag(full), rtol=1e-6)
    cosines = full / np.sqrt(np.outer(np.diag(full), np.diag(full)))
    np.fill_diagonal(cosines, -1)
    supports = G.supports(6)
    for item in range(X.n_items):
        found, values = supports.row(item)
        assert (np.diff(found) > 0).all()
        best = np.sort(cosines[item])[::-1][:6]
        np.testing.assert_allclose(np.sort(values)[::-1], best[best > 0], rtol=1e-5)
        np.testing.assert_allclose(values, cosines[item][found], rtol=1e-5)


def test_weights_solve_the_equations_on_their_supports():
    likes = choices(counts=True)
    rec = palate.SparseEASE(k=7, confidence="equal", **GIVEN).fit(likes, progress=False)
    x = to_dense(likes.by_user(), likes.n_items) > 0
    counts = x.sum(axis=1)
    w = np.maximum(counts, 1.0) ** -0.5
    w *= x.sum() / (w @ counts)
    G = x.T @ np.diag(w) @ x
    B = dense_weights(rec)
    popularity = x.sum(axis=0) / (x.sum() / (x.sum(axis=0) > 0).sum())
    for item in np.flatnonzero(x.any(axis=0)):
        support = np.flatnonzero(B[:, item])
        assert 0 < len(support) <= 7
        ridge = 5.0 + 0.33 / 0.67 * np.diag(G)[support]
        weights = np.linalg.solve(G[np.ix_(support, support)] + np.diag(ridge), G[support, item])
        np.testing.assert_allclose(B[support, item], weights * popularity[item] ** -0.1, rtol=1e-3, atol=1e-6)


def test_items_are_numbered_by_popularity_and_the_lower_code_goes_first():
    likes = palate.read(pl.DataFrame({"user": list("aabbcd"), "item": list("xyxzzy")}), kind="implicit")
    assert likes.item_vocabulary.decode(by_popularity(likes.item_codes)).tolist() == ["x", "y", "z"]
    frame = pl.DataFrame({"user": list("abcab"), "item": list("zzzyx")})
    likes = palate.read(frame, kind="implicit")
    assert likes.item_vocabulary.decode(by_popularity(likes.item_codes)).tolist()[0] == "z"


def test_the_columns_of_the_weights_rise_as_a_file_wants_them():
    likes = choices(400, 90, 9000)
    weights = palate.SparseEASE(k=20).fit(likes, progress=False).model.factors.weights
    check_rows("item weights", weights, likes.n_items, likes.n_items)


def test_same_bytes_at_any_number_of_threads():
    likes = choices(400, 90, 9000)
    fits = [palate.SparseEASE(k=20, n_threads=n).fit(likes, progress=False).model.factors.weights for n in (1, 2, 3)]
    assert len({fit.values.tobytes() + fit.indices.tobytes() for fit in fits}) == 1


# ---- settings that are not given ---------------------------------------------------------------------------------


def test_what_is_given_is_taken_and_what_is_not_is_told():
    likes = choices(400, 90, 9000)
    rec = palate.SparseEASE(k=20, user_exponent=0.25).fit(likes, progress=False)
    told = rec.model.training
    assert told["user_exponent"] == 0.25
    assert told["weight_decay"] in sparse_choice.DECAYS
    assert told["item_exponent"] in sparse_choice.ITEM_EXPONENTS
    defaults = palate.SparseEASE(k=20, user_exponent=0.25).data_defaults(likes)
    assert defaults == {name: told[name] for name in ("weight_decay", "item_exponent")}
    given = palate.SparseEASE(k=20, user_exponent=0.25, **defaults).fit(likes, progress=False)
    assert given.model.factors.weights.values.tobytes() == rec.model.factors.weights.values.tobytes()


def test_few_users_with_enough_choices_get_the_usual_settings():
    likes = choices(60, 40, 1500)
    assert palate.SparseEASE().data_defaults(likes) == {
        "user_exponent": 0.5, "weight_decay": 40.0, "item_exponent": 0.0,
    }  # fmt: skip


def test_another_setting_must_be_better_by_two_standard_errors():
    usual = sparse_choice.Settings(0.5, 40.0, 0.0)
    other = usual._replace(weight_decay=10.0)
    rng = np.random.default_rng(0)
    ndcg, gains = rng.random(400), rng.normal(size=400)
    gains = (gains - gains.mean()) / gains.std(ddof=1) / 20  # a standard error of 1/400
    for errors, best in ((1.9, usual), (2.1, other)):
        assert sparse_choice._best({usual: ndcg, other: ndcg + gains + errors / 400}, usual) == best


def test_the_choice_is_that_of_the_settings_tried_by_hand():
    likes = choices(500, 80, 9000, seed=4)
    hidden = sparse_choice.Hidden.of(likes.by_user(), None)
    given = sparse_choice.Given(None, None, None, 0.33, 30)
    trial = sparse_choice.Trial(hidden, by_popularity(likes.item_codes), given)
    settings = sparse_choice.Settings(0.5, 20.0, 0.1)
    found = trial.ndcg(0.5, (20.0,), (0.1,))[settings].mean()
    rest = palate.read(_pairs(hidden.rest), kind="implicit", user="user", item="item")
    rec = palate.SparseEASE(k=30, user_exponent=0.5, weight_decay=20.0, item_exponent=0.1).fit(rest, progress=False)
    gains = []
    for user, targets in zip(hidden.users, _lists(hidden.targets), strict=True):
        best = rec.recommend(int(user), n=20)["item"].to_list()
        gain = sum(1 / np.log2(2 + place) for place, item in enumerate(best) if item in targets)
        gains.append(gain / sum(1 / np.log2(2 + place) for place in range(min(20, len(targets)))))
    assert found == pytest.approx(np.mean(gains), abs=0.004)  # ties of scores may break otherwise


def _pairs(rows):
    return pl.DataFrame({"user": np.repeat(np.arange(rows.n_rows), rows.counts), "item": rows.indices})


def _lists(rows):
    return [set(rows.row(at)[0].tolist()) for at in range(rows.n_rows)]


def test_a_fifth_of_the_choices_of_sampled_users_is_hidden():
    likes = choices(300, 60, 6000)
    histories = likes.by_user()
    hidden = sparse_choice.Hidden.of(histories, None)
    assert (histories.counts[hidden.users] >= 5).all()
    np.testing.assert_array_equal(hidden.targets.counts, histories.counts[hidden.users] // 5)
    for at, user in enumerate(hidden.users):
        left, gone = hidden.rest.row(int(user))[0], hidden.targets.row(at)[0]
        assert sorted([*left, *gone]) == sorted(histories.row(int(user))[0])


# ---- what a fit needs ----------------------------------------------------------------------------------------------


def test_what_a_fit_needs_is_near_what_it_takes():
    likes = choices(800, 300, 40_000)
    X = rising(likes.by_user(), None, by_popularity(likes.item_codes), 0.5)
    from palate.recipes.sparse_ease import needs

    cost = needs(palate.SparseEASE(k=50), X)
    entries = len(SparseGram.of(X).below[1])
    assert cost.n_bytes == pytest.approx(8 * entries + 40 * 300 * 50 + 32 * len(likes), rel=0.05)
    assert cost.text.startswith("needs ")


def test_too_little_memory_is_refused_with_what_to_do():
    with pytest.raises(
        OptionError, match=r"SparseEASE of 40 items needs .* than the 1 KB that memory= allows.* smaller k"
    ):
        palate.SparseEASE(memory="1KB").fit(choices(), progress=False)


def test_ease_goes_on_with_supports_where_memory_is_short(monkeypatch, capsys):
    likes = choices(400, 90, 9000)
    monkeypatch.setattr(ease, "available_memory", lambda: 100_000)
    rec = palate.EASE(weight_decay=30.0).fit(likes)
    assert "EASE of 90 items needs" in (said := capsys.readouterr().err)
    assert "goes on as SparseEASE" in said
    assert rec.model.training["k"] == 120
    expected = palate.SparseEASE(weight_decay=30.0).fit(likes, progress=False)
    taken = {name: rec.model.training[name] for name in ("user_exponent", "item_exponent")}
    assert palate.EASE(weight_decay=30.0).data_defaults(likes) == taken
    given = palate.EASE(weight_decay=30.0, user_exponent=0.25, item_exponent=0.3).fit(likes, progress=False)
    assert given.model.training["user_exponent"], given.model.training["item_exponent"] == (0.25, 0.3)
    assert isinstance(rec.model.factors.weights, CompressedRows)
    assert rec.model.factors.weights.values.tobytes() == expected.model.factors.weights.values.tobytes()
    assert str(rec).startswith("<EASE")
    with pytest.raises(OptionError, match="memory= allows"):
        palate.EASE(memory=1000).fit(likes, progress=False)  # a budget is a budget


def test_ease_stays_dense_where_there_is_enough():
    rec = palate.EASE().fit(choices(400, 90, 9000), progress=False)
    assert isinstance(rec.model.factors.weights, np.ndarray)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 0}, "k must be a whole number, from 1 to 4096"), ({"k": 5000}, "k must be"),
        ({"weight_decay": 0}, "weight_decay"), ({"dropout": 1}, "dropout"), ({"user_exponent": 1.5}, "user_exponent"),
        ({"item_exponent": -2}, "item_exponent"), ({"confidence": "much"}, "confidence"),
        ({"memory": "much"}, "memory"),
        ({"n_threads": -1}, "n_threads"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        palate.SparseEASE(**options)
