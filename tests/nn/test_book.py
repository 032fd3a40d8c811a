"""Chapter 8's calls on the chapter's data, through palate.nn.book, and the small things behind them."""

import os
from pathlib import Path

import numpy as np
import pytest

import palate
from palate.errors import (
    DataError,
    DatasetError,
    ModelFileError,
    NotAModelError,
    OptionError,
    TamperedModelError,
    UnknownLabelError,
)
from palate.storing import container

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

from palate.nn import book  # noqa: E402
from palate.nn.book import (  # noqa: E402
    CollabDataLoaders,
    Embedding,
    EmbeddingDotBias,
    EmbeddingNN,
    L,
    Learner,
    Module,
    MSELossFlat,
    URLs,
    collab_learner,
    get_emb_sz,
    load_learner,
    nn,
    one_hot,
    pca,
    sigmoid_range,
    tensor,
    untar_data,
)  # fmt: skip

SILENCE = "Silence of the Lambs, The (1991)"
QUIET = {"progress": False}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads wait for each other at every step of such small batches, for seconds where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy_frame(n=400):
    ratings = palate.datasets.synthetic(40, 30, n, seed=2).to_frame()
    return ratings.select(who="user", what="item", stars="rating")


@pytest.fixture
def toy():
    return CollabDataLoaders.from_df(toy_frame(), bs=32)


# ---- the chapter, on its data


@pytest.fixture(scope="module")
def ratings():
    if not (Path(os.environ.get("PALATE_DATA", "/nonexistent")) / "ml-100k" / "u.data").is_file():
        pytest.skip("PALATE_DATA holds no ml-100k")
    path = untar_data(URLs.ML_100k)
    columns = ["user", "movie", "rating", "timestamp"]
    ratings = pd.read_csv(path / "u.data", delimiter="\t", header=None, names=columns)
    movies = pd.read_csv(
        path / "u.item", delimiter="|", encoding="latin-1", usecols=(0, 1), names=("movie", "title"), header=None
    )
    return ratings.merge(movies)


@pytest.fixture(scope="module")
def dls(ratings):
    return CollabDataLoaders.from_df(ratings, item_name="title", bs=512)


def mse(learn):
    """The validation loss, computed by hand."""
    x, y = learn.dls.valid.tensors
    with torch.no_grad():
        return float(((learn.model(x).view(-1) - y.view(-1)) ** 2).mean())


class DotProduct(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5)):
        self.user_factors = Embedding(n_users, n_factors)
        self.movie_factors = Embedding(n_movies, n_factors)
        self.y_range = y_range

    def forward(self, x):
        users = self.user_factors(x[:, 0])
        movies = self.movie_factors(x[:, 1])
        return sigmoid_range((users * movies).sum(dim=1), *self.y_range)


def create_params(size):
    return nn.Parameter(torch.zeros(*size).normal_(0, 0.01))


class ByHand(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5)):
        self.user_factors = create_params([n_users, n_factors])
        self.user_bias = create_params([n_users])
        self.movie_factors = create_params([n_movies, n_factors])
        self.movie_bias = create_params([n_movies])
        self.y_range = y_range

    def forward(self, x):
        users = self.user_factors[x[:, 0]]
        movies = self.movie_factors[x[:, 1]]
        res = (users * movies).sum(dim=1)
        res += self.user_bias[x[:, 0]] + self.movie_bias[x[:, 1]]
        return sigmoid_range(res, *self.y_range)


class CollabNN(Module):
    def __init__(self, user_sz, item_sz, y_range=(0, 5.5), n_act=100):
        self.user_factors = Embedding(*user_sz)
        self.item_factors = Embedding(*item_sz)
        self.layers = nn.Sequential(nn.Linear(user_sz[1] + item_sz[1], n_act), nn.ReLU(), nn.Linear(n_act, 1))
        self.y_range = y_range

    def forward(self, x):
        embs = self.user_factors(x[:, 0]), self.item_factors(x[:, 1])
        return sigmoid_range(self.layers(torch.cat(embs, dim=1)), *self.y_range)


@pytest.mark.data
def test_the_loaders_of_the_chapter(ratings, dls):
    assert list(dls.classes) == ["user", "title"]
    assert dls.classes["user"][:3] == ["#na#", 1, 2]
    assert (len(dls.classes["user"]), len(dls.classes["title"])) == (944, 1665)
    x, y = dls.one_batch()
    assert (x.shape, y.shape, x.min() > 0) == ((512, 2), (512, 1), True)
    assert dls.train.n + dls.valid.n == 100_000 - 307  # what the module says of duplicates
    assert dls.valid.n == 19_938
    known = {(row.user, row.title, row.rating) for row in ratings.itertuples()}
    shown = dls.show_batch(20)
    assert list(shown.columns) == ["user", "title", "rating"]
    assert set(shown.itertuples(index=False, name=None)) <= known
    decoded = [(dls.classes["user"][u], dls.classes["title"][i], r) for (u, i), (r,) in zip(x, y, strict=True)]
    assert {(user, title, r.item()) for user, title, r in decoded} <= known
    assert get_emb_sz(dls) == [(944, 74), (1665, 102)]


@pytest.mark.data
def test_a_dot_product_written_by_the_reader(dls):
    model = DotProduct(len(dls.classes["user"]), len(dls.classes["title"]), 50)
    learn = Learner(dls, model, loss_func=MSELossFlat(), **QUIET)
    before = mse(learn)
    learn.fit_one_cycle(2, 5e-3)
    assert mse(learn) < min(before, 1.1)


@pytest.mark.data
def test_parameters_by_hand_and_the_best_films(dls):
    model = ByHand(len(dls.classes["user"]), len(dls.classes["title"]), 50)
    learn = Learner(dls, model, loss_func=MSELossFlat(), **QUIET)
    learn.fit_one_cycle(3, 5e-3, wd=0.1)
    assert mse(learn) < 0.88
    movie_bias = learn.model.movie_bias.squeeze()
    worst = [dls.classes["title"][i] for i in movie_bias.argsort()[:25]]
    best = [dls.classes["title"][i] for i in movie_bias.argsort(descending=True)[:25]]
    assert "Children of the Corn: The Gathering (1996)" in worst
    assert SILENCE in best


@pytest.mark.data
def test_collab_learner_and_what_it_learned(ratings, dls):
    learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5), **QUIET)
    learn.fit_one_cycle(5, 5e-3, wd=0.1)
    assert mse(learn) < 0.85
    movie_bias = learn.model.i_bias.weight.squeeze()
    best = [dls.classes["title"][i] for i in movie_bias.argsort(descending=True)[:25]]
    assert {SILENCE, "Shawshank Redemption, The (1994)"} <= set(best)
    assert learn.model.bias([SILENCE]).item() == movie_bias[dls.classes["title"].o2i[SILENCE]].item()

    movie_factors = learn.model.i_weight.weight
    idx = dls.classes["title"].o2i[SILENCE]
    distances = nn.CosineSimilarity(dim=1)(movie_factors, movie_factors[idx][None])
    order = distances.argsort(descending=True)
    assert order[0] == idx
    assert dls.classes["title"][order[1]] in set(ratings.title)

    g = ratings.groupby("title")["rating"].count()
    top_movies = g.sort_values(ascending=False).index.values[:1000]
    top_idxs = tensor([learn.dls.classes["title"].o2i[m] for m in top_movies])
    fac0, _, fac2 = pca(movie_factors[top_idxs].cpu().detach(), 3).t()
    assert fac0.shape == (1000,)
    assert fac0.var() > fac2.var()

    shown = learn.show_results()
    assert list(shown.columns) == ["user", "title", "rating", "rating_pred"]
    assert shown["rating_pred"].between(0, 5.5).all()


@pytest.mark.data
def test_a_net_by_hand_and_the_ready_one(dls):
    learn = Learner(dls, CollabNN(*get_emb_sz(dls)), loss_func=MSELossFlat(), **QUIET)
    learn.fit_one_cycle(1, 5e-3, wd=0.01)
    assert mse(learn) < 1.0
    learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[100, 50], **QUIET)
    assert isinstance(learn.model, EmbeddingNN)
    learn.fit_one_cycle(1, 5e-3, wd=0.1)
    assert mse(learn) < 1.0


# ---- loaders


def test_columns_by_position_by_name_and_from_a_file(tmp_path, toy):
    path = tmp_path / "ratings.csv"
    toy_frame().write_csv(path)
    from_file = CollabDataLoaders.from_csv(path, bs=32)
    assert from_file.classes == toy.classes
    torch.testing.assert_close(from_file.train.tensors, toy.train.tensors)
    turned = toy_frame().select("stars", "what", "who")
    named = CollabDataLoaders.from_df(turned, user_name="who", item_name="what", rating_name="stars", bs=32)
    torch.testing.assert_close(named.train.tensors, toy.train.tensors)
    toy_frame().write_csv(path, include_header=False)
    assert next(iter(CollabDataLoaders.from_csv(path).classes)) != "who"


def test_options_reach_the_loaders():
    dls = CollabDataLoaders.from_df(toy_frame(), valid_pct=0.25, seed=3, bs=16)
    assert (dls.valid.n, dls.train.batch_size, dls.train.seed) == (100, 16, 3)
    train, _ = palate.split_random(palate.read(toy_frame(), user="who", item="what", rating="stars"), 0.25, seed=3)
    np.testing.assert_array_equal(dls.train.tensors[0] - 1, np.stack([train.user_codes, train.item_codes], axis=1))


def test_bad_frames_say_so(tmp_path):
    with pytest.raises(OptionError, match="three columns"):
        CollabDataLoaders.from_df(toy_frame().select("who", "what"))
    with pytest.raises(DataError, match="no column 'film'"):
        CollabDataLoaders.from_df(toy_frame(), item_name="film")
    path = tmp_path / "bad.csv"
    path.write_text("who,what,stars\nann,tea,5\nbob,tea,no\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3"):
        CollabDataLoaders.from_csv(path)


def test_an_unknown_title_is_an_error(toy):
    codes = toy.classes["what"].o2i
    assert codes["i1"] == toy.classes["what"].index("i1")
    assert "i999" not in codes
    with pytest.raises(UnknownLabelError, match=r"unknown what 'i1x'\. Did you mean 'i1'"):
        codes["i1x"]
    learn = collab_learner(toy, n_factors=3, **QUIET)
    for ask in (learn.model.bias, learn.model.weight):
        with pytest.raises(UnknownLabelError, match="unknown what 'nothing'"):
            ask(["i1", "nothing"])
        with pytest.raises(UnknownLabelError, match="unknown who 7"):
            ask([7], is_item=False)
        with pytest.raises(OptionError, match="list"):
            ask("i1")
    with pytest.raises(OptionError, match="no labels"):
        EmbeddingDotBias(3, 5, 5).bias(["i1"])


# ---- models


def test_the_dot_product_is_its_formula(toy):
    model = collab_learner(toy, n_factors=3, y_range=(1, 5), **QUIET).model
    x, _ = toy.one_batch()
    users, items = x.T
    dot = (model.u_weight.weight[users] * model.i_weight.weight[items]).sum(1, keepdim=True)
    raw = dot + model.u_bias.weight[users] + model.i_bias.weight[items]
    torch.testing.assert_close(model(x), torch.sigmoid(raw) * 4 + 1)
    labels = [toy.classes["what"][code] for code in items]
    torch.testing.assert_close(model.weight(labels), model.i_weight.weight[items].detach())
    user_rows = [toy.classes["who"][code] for code in users]
    torch.testing.assert_close(model.bias(user_rows, is_item=False), model.u_bias.weight[users, 0].detach())


def test_torch_manual_seed_decides_the_first_values(toy):
    def start():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return [p.detach() for p in collab_learner(toy, n_factors=3, **QUIET).model.parameters()]

    torch.testing.assert_close(start(), start(), rtol=0, atol=0)


# ---- learner


def test_fit_lr_find_and_results(toy):
    learn = collab_learner(toy, n_factors=3, y_range=(0, 5.5), **QUIET)
    assert 1e-8 < learn.lr_find().valley < 10
    before = mse(learn)
    learn.fit(2, 5e-3)
    assert mse(learn) < before
    shown = learn.show_results(max_n=4)
    assert shown.height == 4
    x, _ = toy.valid.tensors
    np.testing.assert_allclose(shown["stars_pred"], learn.model(x[:4]).detach().view(-1), rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"n_factors": 4, "y_range": (0, 5.5)}, {"n_factors": 1}, {"use_nn": True, "layers": [7, 5]}]
)
def test_export_and_load(toy, tmp_path, options):
    learn = collab_learner(toy, **options, **QUIET)
    learn.fit_one_cycle(1, 5e-3)
    learn.export(tmp_path / "model")
    loaded = load_learner(tmp_path / "model")
    assert type(loaded.model) is type(learn.model)
    assert loaded.dls.classes == toy.classes
    assert loaded.dls.classes["what"].o2i == toy.classes["what"].o2i
    x, _ = toy.one_batch()
    torch.testing.assert_close(loaded.model(x), learn.model(x), rtol=0, atol=0)
    if not options.get("use_nn"):
        assert loaded.model.bias(["i1"]) == learn.model.bias(["i1"])
    again = Learner(toy, loaded.model, **QUIET)
    again.fit(1, 1e-3)
    again.export(tmp_path / "again")


def test_what_cannot_be_exported_or_loaded(toy, tmp_path):
    learn = Learner(toy, DotProduct(41, 31, 3), loss_func=MSELossFlat(), **QUIET)
    with pytest.raises(OptionError, match="DotProduct is made by hand"):
        learn.export(tmp_path / "model")
    with pytest.raises(ModelFileError, match="no file"):
        load_learner(tmp_path / "model")
    palate.Mean().fit(palate.datasets.synthetic(5, 5, 10, seed=1)).save(tmp_path / "other")
    with pytest.raises(NotAModelError, match=r"palate\.load"):
        load_learner(tmp_path / "other")


def honest_parts(learn, path):
    learn.export(path)
    arrays, header = container.read(path)
    return {name: array.copy() for name, array in arrays.items()}, header


def zeros(*shape):
    return np.zeros(shape, np.float32)


GONE = None
LIES = [
    ("dot", "user_bias.weight", GONE),
    ("dot", "user_factors.weight", zeros(0, 10**12)),
    ("dot", "user_factors.weight", zeros(41)),
    ("dot", "item_factors.weight", zeros(31, 5)),
    ("dot", "item_factors.weight", zeros(30, 4)),
    ("dot", "extra", zeros(3)),
    ("dot", "y_range", GONE),
    ("dot", "y_range", [3, 3]),
    ("dot", "classes", [["who", ["ann"]], ["what", ["tea"]]]),
    ("dot", "classes", [["who", 3], ["what", 4]]),
    ("dot", "classes", [["who", [["ann"]] * 40], ["what", ["tea"]]]),
    ("dot", "classes", {}),
    ("net", "embeddings.0.weight", GONE),
    ("net", "embeddings.1.weight", zeros(0, 10**12)),
    ("net", "layers.0.0.weight", zeros(10**12, 0)),
    ("net", "layers.1.0.weight", zeros(5, 6)),
    ("net", "layers.2.weight", GONE),
    ("net", "layers.0.0.weight", GONE),
]


@pytest.mark.parametrize(("kind", "name", "value"), LIES)
def test_a_file_whose_parts_do_not_fit_is_refused(toy, tmp_path, kind, name, value):
    options = {"n_factors": 4} if kind == "dot" else {"use_nn": True, "layers": [7, 5]}
    arrays, header = honest_parts(collab_learner(toy, **options, **QUIET), tmp_path / "model")
    part = header if name in header else arrays
    part.pop(name, None)
    if value is not GONE:
        part[name] = value
    container.write(tmp_path / "lie", arrays, header)
    with pytest.raises(TamperedModelError, match="parts do not fit"):
        load_learner(tmp_path / "lie")


class TypedIn(Module):
    """A model of the chapter, typed in: palate knows only the names of its embeddings."""

    def __init__(self, dls):
        (n_users, _), (n_items, _) = get_emb_sz(dls)
        self.user_factors, self.user_bias = Embedding(n_users, 3), Embedding(n_users, 1)
        self.item_factors, self.item_bias = Embedding(n_items, 3), Embedding(n_items, 1)
        self.y_range = (0, 5.5)

    def forward(self, x):
        users, items = x[:, 0], x[:, 1]
        dot = (self.user_factors(users) * self.item_factors(items)).sum(1, keepdim=True)
        return sigmoid_range(dot + self.user_bias(users) + self.item_bias(items), *self.y_range)


@pytest.mark.parametrize("give", [lambda dls: dls, lambda dls: dls.ratings], ids=["dls", "ratings"])
@pytest.mark.parametrize("kind", ["dot", "net", "by hand"])
def test_a_recommender_predicts_as_the_model_does(toy, kind, give):
    wide = [40, 20]  # one in five nets of [7, 5] dies: all its ReLUs answer 0
    options = {"dot": {"n_factors": 4}, "net": {"use_nn": True, "layers": wide}}
    if kind == "by hand":
        learn = Learner(toy, TypedIn(toy), **QUIET)
    else:
        learn = collab_learner(toy, y_range=(0, 5.5), **options[kind], **QUIET)
    learn.fit_one_cycle(5, 5e-2)
    if kind == "by hand" and give(toy) is toy.ratings:
        with pytest.raises(OptionError):  # neither of the two has a row for #na#
            palate.nn.from_torch(learn.model, toy.ratings)
        return
    recommender = palate.nn.from_torch(learn.model, give(toy))
    x, _ = toy.valid.tensors
    users, items = ([labels[code] for code in codes] for labels, codes in zip(toy.classes.values(), x.T, strict=True))
    low, high = toy.ratings.range
    expected = learn.model(x).detach()[:, 0].clamp(low, high)
    assert expected.std() > 0.1
    np.testing.assert_allclose(recommender.predict(users, items)["prediction"], expected, atol=1e-4)


def test_codes_begin_where_first_code_says(toy):
    assert toy.first_code == EmbeddingDotBias.first_code == EmbeddingNN.first_code == toy.train.tensors[0].min() == 1


# ---- small things


def test_module_needs_no_super():
    class Plain(Module):
        a = 3

    class Holds(Module):
        def __init__(self, n):
            self.a = nn.Parameter(torch.ones(n))
            super().__init__()  # does no harm, even here

    class Linear(Module):
        def __init__(self):
            self.a = nn.Linear(1, 3, bias=False)

    assert repr(L(Plain().parameters())) == "(#0) []"
    assert len(L(Holds(n=3).parameters())) == 1
    assert type(Linear().a.weight) is nn.Parameter
    assert Linear().a.weight.shape == (3, 1)


def test_one_hot_and_tensor():
    n_users, factors = 7, torch.randn(7, 5)
    torch.testing.assert_close(factors.t() @ one_hot(3, n_users).float(), factors[3])
    assert tensor([3, 1]).tolist() == tensor(3, 1).tolist() == tensor(np.array([3, 1])).tolist() == [3, 1]
    assert tensor([3, 1]).dtype == torch.int64


def test_pca_is_numpys():
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    values, vectors = np.linalg.eigh(np.cov(x.numpy().T))
    found = pca(x, 2).numpy()
    np.testing.assert_allclose(found.var(axis=0, ddof=1), values[::-1][:2], rtol=1e-4)
    expected = (x - x.mean(0)).numpy() @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_mse_loss_flat_does_not_broadcast():
    scores, targets = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0], [2.0], [5.0]])
    assert MSELossFlat()(scores, targets).item() == pytest.approx(4 / 3)


def test_a_star_import_brings_the_names_and_leaves_torch_alone():
    names = {}
    before = set(dir(torch.Tensor))
    exec("from palate.nn.book import *", names)
    assert set(book.__all__) <= set(names)
    assert names["pd"] is pd
    assert set(dir(torch.Tensor)) == before


def test_every_name_is_documented():
    ours = [getattr(book, name) for name in book.__all__]
    undocumented = [
        o for o in ours if str(getattr(o, "__module__", "")).startswith(book.__name__) and not (o.__doc__ or "").strip()
    ]
    assert undocumented == []


def test_untar_data_says_what_it_wants(tmp_path, monkeypatch):
    monkeypatch.setenv("PALATE_DATA", str(tmp_path))
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,5,1\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"u\.data"):
        untar_data(URLs.ML_100k)
    with pytest.raises(DatasetError, match="'nothing'"):
        untar_data("nothing")
    (tmp_path / "ml-100k" / "u.data").write_text("1\t1\t5\t1\n", encoding="utf-8")
    assert untar_data(URLs.ML_100k) == tmp_path / "ml-100k"
