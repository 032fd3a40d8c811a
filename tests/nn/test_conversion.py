"""Torch modules as Recommenders and back: the same predictions, every answer, files that need no torch to load."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import palate  # noqa: E402
from palate.data.reading import read  # noqa: E402
from palate.errors import OptionError, TamperedModelError  # noqa: E402
from palate.nn import DotProduct, DotProductBias, EmbeddingNet, Learner, RatingLoaders  # noqa: E402


@pytest.fixture(scope="module")
def data():
    ratings = palate.datasets.synthetic(90, 60, 2500, n_factors=3, noise=0.5, seed=2)
    rng = np.random.default_rng(0)
    users = {"user": list(ratings.user_vocabulary), "age": rng.integers(18, 70, 90).astype(float)}
    items = {
        "item": list(ratings.item_vocabulary),
        "kind": rng.choice(list("abc"), 60),
        "title": [f"T{i}" for i in range(60)],
    }
    return read(ratings.to_frame(), users=users, items=items)


def generator():
    return torch.Generator().manual_seed(3)


def trained(kind, data):
    """A trained module, and what it was trained on."""
    if kind == "net with columns":
        loaders = RatingLoaders.from_ratings(data, valid=None, batch_size=64, categorical=["kind"], continuous=["age"])
        module = EmbeddingNet(loaders.sizes, n_continuous=1, layers=[20, 10], y_range=(0, 6), generator=generator())
    else:
        loaders = RatingLoaders.from_ratings(data, valid=None, batch_size=64)
        module = {
            "dot product": lambda: DotProduct(90, 60, 4, generator=generator()),
            "biases": lambda: DotProductBias(90, 60, 4, mean=3.3, generator=generator()),
            "biases in a range": lambda: DotProductBias(90, 60, 4, y_range=(0, 6), generator=generator()),
            "net": lambda: EmbeddingNet([(90, 4), (60, 5)], layers=[20, 10], dropout=0.1, generator=generator()),
        }[kind]()
    Learner(loaders, module, progress=False).fit_one_cycle(8, 0.03, wd=0.05)
    return module.eval(), loaders if kind == "net with columns" else data, loaders


KINDS = ["dot product", "biases", "biases in a range", "net", "net with columns"]
NETS = {"net", "net with columns"}
each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def made(data):
    found = {kind: trained(kind, data) for kind in KINDS}
    return {
        kind: (module, palate.nn.from_torch(module, given), loaders) for kind, (module, given, loaders) in found.items()
    }


@each
def test_the_recommender_predicts_as_the_module_does(made, data, kind):
    module, rec, loaders = made[kind]
    with torch.no_grad():
        expected = module(*loaders.train.tensors[:-1])[:, 0].numpy()
    found = rec.model.factors.predict(data.user_codes, data.item_codes)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.sqrt(np.mean((found - data.values) ** 2)) < 0.9 * data.values.std()


@each
def test_rows_without_ratings_are_answered_as_unknown_ones(data, kind):
    """The module has random numbers there, from its start."""
    module, given, _ = trained(kind, data[(data.user_codes >= 2) & (data.item_codes >= 2)])
    rec = palate.nn.from_torch(module, given)
    users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
    factors = rec.model.factors
    learned = factors.learned if kind in NETS else (len(factors.user_prior.mean), len(factors.item_prior.mean))
    np.testing.assert_array_equal(factors.users[0, : learned[0]], factors.user_prior.mean[: learned[0]])
    np.testing.assert_array_equal(factors.items[0, : learned[1]], factors.item_prior.mean[: learned[1]])
    if kind == "net with columns":  # which knows the attributes of these
        return
    np.testing.assert_allclose(
        rec.predict(users[0], items)["prediction"], rec.predict("nobody", items)["prediction"], atol=1e-5
    )
    np.testing.assert_allclose(
        rec.predict(users, items[0])["prediction"], rec.predict(users, "nothing")["prediction"], atol=1e-5
    )
    assert rec.recommend(users[0], n=9)["item"].to_list() == rec.recommend("nobody", n=9)["item"].to_list()
    assert not {*items[:2]} & {*rec.similar_items(items[5], n=99)["item"]}


def test_rows_without_ratings_survive_the_way_there_and_back(data):
    """palate has given them what it answers for them, unlike a random start."""
    few = data[(data.user_codes >= 2) & (data.item_codes >= 2)]
    rec = palate.Bayes(n_sweeps=10).fit(few)
    back = palate.nn.from_torch(palate.nn.to_torch(rec), few)
    for name in ("user_factors", "item_factors", "user_bias", "item_bias"):
        np.testing.assert_allclose(getattr(back, name), getattr(rec, name), atol=1e-6)


@each
def test_it_is_a_full_recommender(made, data, kind):
    _, rec, _ = made[kind]
    assert rec.n_users == 90 and rec.n_items == 60
    best = rec.recommend("u1", n=5)
    assert best.columns == ["user", "item", "title", "score", "rank"]
    assert not set(best["item"]) & set(rec.history("u1")["item"])
    everything = rec.predict(["u1"] * 60, list(data.item_vocabulary))
    scores = dict(zip(everything["item"], everything["prediction"], strict=True))
    assert best["score"][0] == pytest.approx(
        max(scores[i] for i in scores if i not in set(rec.history("u1")["item"])), abs=1e-5
    )
    assert rec.similar_items("i1", n=3).height == 3 and rec.similar_users("u1", n=3).height == 3
    assert rec.recommend(n=2, keep_seen=True).height == 180
    assert np.isfinite(rec.predict("nobody", "nothing").prediction)
    assert rec.cross_tab().predicted.shape == (10, 10)
    if kind in NETS:
        with pytest.raises(OptionError, match="neural net has no parts"):
            rec.explain("u1", "i1")
    else:
        why = rec.explain("u1", "i1")
        assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-4)


@each
def test_somebody_new_gets_what_his_ratings_say(data, kind):
    """Users left out of training and folded in are predicted nearly as well as if they had been there."""
    train, test = palate.split_random(data, test=0.2, seed=1)
    gone = train.user_codes % 9 == 0
    module, given, _ = trained(kind, train[~gone])
    rec = palate.nn.from_torch(module, given)
    errors = {"folded in": [], "nobody": []}
    for user in np.unique(train.user_codes[gone]):
        own, asked = train[train.user_codes == user].to_frame(), test[test.user_codes == user].to_frame()
        new = rec.fold_in(dict(zip(own["item"], own["rating"], strict=True)))
        for name, someone in (("folded in", new), ("nobody", rec.fold_in({}))):
            predicted = someone.predict(asked["item"].to_list())["prediction"].to_numpy()
            errors[name].extend(predicted - asked["rating"].to_numpy())
    folded, nobody = (np.sqrt(np.mean(np.square(errors[name]))) for name in ("folded in", "nobody"))
    assert folded < 0.95 * nobody


@each
def test_a_saved_model_loads_without_torch(made, data, kind, tmp_path):
    _, rec, _ = made[kind]
    rec.save(tmp_path / "model.palate")
    code = (
        "import sys; sys.modules['torch'] = None; import palate; rec = palate.load(sys.argv[1]); "
        "new = rec.fold_in({'i1': 5, 'i2': 1}); "
        "print(rec.predict('u1', 'i1').prediction, new.predict('i3').prediction); "
        "print(rec.recommend('u2', n=3)['item'].to_list())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.palate"], capture_output=True, text=True, check=True
    )
    first, second = out.stdout.splitlines()
    expected = rec.predict("u1", "i1").prediction, rec.fold_in({"i1": 5, "i2": 1}).predict("i3").prediction
    np.testing.assert_allclose([float(number) for number in first.split()], expected, atol=1e-5)
    assert second == str(rec.recommend("u2", n=3)["item"].to_list())
    palate.load(tmp_path / "model.palate").save(tmp_path / "again.palate")
    assert (tmp_path / "again.palate").read_bytes() == (tmp_path / "model.palate").read_bytes()


RECIPES = [
    palate.SGD(n_factors=4),
    palate.SGD(n_factors=4, y_range=(0, 6)),
    palate.ALS(n_factors=4),
    palate.Bayes(n_factors=4, n_sweeps=20),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_there_and_back_again(data, recipe):
    rec = recipe.fit(data)
    module = palate.nn.to_torch(rec)
    assert isinstance(module, DotProductBias)
    x = torch.tensor(np.stack([data.user_codes, data.item_codes], 1).astype(np.int64))
    with torch.no_grad():
        there = module(x)[:, 0].numpy()
    own = rec.model.factors.predict(data.user_codes, data.item_codes)
    np.testing.assert_allclose(there, own, atol=2e-6)  # sums of float32 in another order, of numbers around 5
    back = palate.nn.from_torch(module, data)
    np.testing.assert_allclose(back.model.factors.predict(data.user_codes, data.item_codes), own, atol=1e-6)
    for name in ("user_factors", "item_factors", "user_bias", "item_bias", "mean"):
        np.testing.assert_allclose(getattr(back, name), getattr(rec, name), atol=1e-6)
    again = palate.nn.to_torch(back)
    for one, two in zip(module.state_dict().values(), again.state_dict().values(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_intervals_are_claimed_only_when_measured(made, data):
    train, valid = palate.split_random(data, test=0.2, seed=0)
    module, _, _ = trained("biases in a range", train)
    assert not palate.nn.from_torch(module, train).has_intervals
    rec = palate.nn.from_torch(module, train, valid=valid, name="mine")
    report = palate.evaluate(rec, valid)
    assert rec.has_intervals and report["rmse"] == pytest.approx(rec.model.noise, abs=1e-6)
    assert repr(rec).startswith("<mine: 90 users, 60 items")


def test_a_module_of_one_s_own_is_taken_by_the_names_of_its_parts(data):
    class Mine(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.user_factors, self.item_factors = torch.nn.Embedding(90, 3), torch.nn.Embedding(60, 3)
            self.item_bias = torch.nn.Parameter(torch.randn(60, generator=generator()))

    module = Mine()
    rec = palate.nn.from_torch(module, data)
    score = (module.user_factors.weight[3] * module.item_factors.weight[5]).sum() + module.item_bias[5]
    found = rec.model.factors.predict(np.array([3], np.int32), np.array([5], np.int32))[0]
    assert found == pytest.approx(float(score.detach()), abs=1e-5)


def test_what_does_not_fit_is_said(made, data):
    with pytest.raises(OptionError, match="Linear is neither a dot product"):
        palate.nn.from_torch(torch.nn.Linear(2, 1), data)
    with pytest.raises(OptionError, match="has 5 users and 60 items, the ratings have 90 and 60"):
        palate.nn.from_torch(DotProduct(5, 60, 2), data)
    with pytest.raises(OptionError, match="RatingLoaders it was trained with"):
        palate.nn.from_torch(made["net with columns"][0], data)
    with pytest.raises(OptionError, match="is a neural net"):
        palate.nn.to_torch(made["net"][1])
    with pytest.raises(OptionError, match="Bias has no factors"):
        palate.nn.to_torch(palate.Bias().fit(data))


def with_forward(kind, forward):
    """A module of that kind whose forward is another one."""
    return type("Own", (kind,), {"forward": forward})


def test_a_module_that_answers_otherwise_than_its_parts_is_refused(data):
    twice = with_forward(DotProduct, lambda self, x: 3.5 + 2 * DotProduct.forward(self, x))(90, 60, 3)
    swapped = with_forward(DotProductBias, lambda self, x: DotProductBias.forward(self, x.flip(1)))(60, 90, 3)
    swapped.user_factors, swapped.item_factors = swapped.item_factors, swapped.user_factors
    swapped.user_bias, swapped.item_bias = swapped.item_bias, swapped.user_bias
    for module in (twice, swapped):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, generator=generator())
        with pytest.raises(OptionError, match="Own predicts otherwise than its parts"):
            palate.nn.from_torch(module, data)


def test_a_net_with_other_layers_is_refused(data):
    net = EmbeddingNet([(90, 4), (60, 5)], layers=[20], generator=generator())
    net.layers.insert(1, torch.nn.BatchNorm1d(20))
    with pytest.raises(OptionError, match="this net also has BatchNorm1d"):
        palate.nn.from_torch(net, data)
    net = EmbeddingNet([(90, 4), (60, 5)], layers=[20], generator=generator())
    net.layers[-1] = torch.nn.Linear(20, 1, bias=False)
    with pytest.raises(OptionError, match="this net has one without"):
        palate.nn.from_torch(net, data)


def test_what_is_given_is_looked_at(made, data):
    module = made["biases"][0]
    train, valid = palate.split_random(data, test=0.2, seed=0)
    with pytest.raises(OptionError, match=r"ratings must be the palate\.Ratings or the RatingLoaders"):
        palate.nn.from_torch(module, data.to_frame())
    with pytest.raises(OptionError, match=r"of a Learner, its \.model"):
        palate.nn.from_torch(Learner(made["biases"][2], module, progress=False), data)
    with pytest.raises(OptionError, match="valid has other users or items"):
        palate.nn.from_torch(module, train, valid=palate.datasets.synthetic(80, 60, 2500, seed=5))
    assert palate.nn.from_torch(module, train, valid=valid).has_intervals
    broken = DotProductBias(90, 60, 4, generator=generator())
    broken.user_bias = palate.nn.Embedding(7, 1)
    with pytest.raises(OptionError, match="user_bias do not fit each other"):
        palate.nn.from_torch(broken, data)
    with torch.no_grad():
        infinite = DotProductBias(90, 60, 4, generator=generator())
        infinite.item_bias.weight[3] = float("inf")
    with pytest.raises(OptionError, match="are not all finite numbers"):
        palate.nn.from_torch(infinite, data)
    narrow = DotProductBias(90, 60, 4, generator=generator())
    narrow.y_range = (5.5, 0)
    with pytest.raises(OptionError, match="low must lie below high"):
        palate.nn.from_torch(narrow, data)


def test_other_files_of_palate_are_named(made, tmp_path):
    Learner(made["biases"][2], DotProductBias(90, 60, 4), progress=False).save(tmp_path / "training.palate")
    with pytest.raises(palate.errors.ModelFileError, match="checkpoint of a training, not a model"):
        palate.load(tmp_path / "training.palate")


def test_a_tampered_network_is_refused(made, tmp_path):
    from dataclasses import replace

    rec = made["net"][1]
    network = rec.model.factors
    weight, bias = network.layers[0]
    for broken in (
        {"layers": ((weight[:, 1:].copy(), bias), *network.layers[1:])},
        {"layers": network.layers[:-1]},
        {"user_places": network.user_places + 100},
        {"user_places": network.user_places[1:].copy()},
        {"constants": network.constants[1:].copy()},
        {"learned": (99, 1)},
    ):
        hostile = palate.Recommender(replace(rec.model, factors=replace(network, **broken)))
        hostile.save(tmp_path / "hostile.palate")
        with pytest.raises(TamperedModelError):
            palate.load(tmp_path / "hostile.palate")


def test_an_unknown_one_has_a_wider_interval_from_a_net_too(data):
    train, valid = palate.split_random(data, test=0.2, seed=0)
    module, _, _ = trained("net", train)
    rec = palate.nn.from_torch(module, train, valid=valid)
    known, unknown = rec.predict("u1", "i1"), rec.predict("nobody", "i1")
    assert unknown.high - unknown.low > known.high - known.low


def test_without_torch_one_sentence_says_what_to_install():
    for asked in (
        "import palate.nn",
        "import palate; palate.nn",
        "import palate; palate.nn.to_torch(palate.SGD(n_epochs=1).fit(palate.datasets.synthetic(9, 9, 40)))",
    ):
        out = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.modules['torch'] = None; {asked}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (
            out.stderr.splitlines()[-1]
            == "ImportError: palate.nn needs PyTorch, which is not installed: pip install 'palate[torch]'."
        )
