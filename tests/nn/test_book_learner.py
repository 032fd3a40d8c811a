"""What a reader of the chapter types next: metrics, predictions, callbacks, saved weights, classes, pictures, names."""

import csv
import inspect
import io
import math
from copy import deepcopy

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, DatasetError, NotAModelError, OptionError, PalateError, UnknownLabelError

torch = pytest.importorskip("torch")

from palate.nn import SaveCheckpoint, book  # noqa: E402
from palate.nn.book import (  # noqa: E402
    CategoryBlock,
    CollabDataLoaders,
    CrossEntropyLossFlat,
    CSVLogger,
    EarlyStoppingCallback,
    L,
    Learner,
    Module,
    MSELossFlat,
    SaveModelCallback,
    TabularModel,
    TrackerCallback,
    URLs,
    accuracy,
    collab_learner,
    delegates,
    error_rate,
    first,
    get_emb_sz,
    load_learner,
    mae,
    minimum,
    mse,
    nn,
    rmse,
    set_seed,
    slide,
    steep,
    tensor,
    to_np,
    untar_data,
    valley,
)
from palate.nn.book import names as book_names  # noqa: E402
from palate.nn.book.pca import Weights  # noqa: E402

QUIET = {"progress": False}


def frame_of(n=400, **columns):
    return palate.datasets.synthetic(40, 30, n, seed=2).to_frame().select(who="user", what="item", stars="rating")


@pytest.fixture(scope="module")
def dls():
    return CollabDataLoaders.from_df(frame_of(), bs=32)


@pytest.fixture(scope="module")
def dls_of_classes():
    return CollabDataLoaders.from_df(frame_of(), bs=32, y_block=CategoryBlock())


def learner_of(dls, **options):
    torch.manual_seed(1)
    return collab_learner(dls, n_factors=3, y_range=(0, 5.5), **QUIET, **options)


class Scripted(Module):
    """A model whose predictions, and so whose validation losses, follow a list: one value an epoch."""

    def __init__(self, values):
        self.weight = nn.Parameter(torch.zeros(()))
        self.values, self.at = values, -1

    def forward(self, x):
        if self.training:
            return self.weight.expand(len(x))
        self.at += 1
        return self.weight * 0 + torch.full((len(x),), float(self.values[self.at]))


# ---- metrics and records


def test_metrics_are_measured_after_each_epoch_and_told_by_name(dls, capsys):
    learn = collab_learner(dls, n_factors=3, metrics=[rmse, mae], progress=True)
    learn.fit(2, 1e-2)
    shown = capsys.readouterr().err.splitlines()
    head = next(line for line in shown if "epoch" in line)
    assert head.split() == ["epoch", "train", "loss", "valid", "loss", "rmse", "mae", "time"]
    assert learn.recorder.metric_names == ["epoch", "train_loss", "valid_loss", "rmse", "mae", "time"]
    predictions, targets = learn.get_preds()
    expected = [mse(predictions, targets), rmse(predictions, targets), mae(predictions, targets)]
    np.testing.assert_allclose(learn.validate(), expected, rtol=1e-5)
    np.testing.assert_allclose(learn.recorder.values[-1][1:], expected, rtol=1e-5)
    assert len(learn.recorder.values) == 2
    assert [len(row) for row in learn.recorder.values] == [4, 4]
    learn.fit(1, 1e-2)
    assert len(learn.recorder.values) == 1  # of the last fit
    assert len(learn.recorder.epochs) == 3
    assert L(learn.recorder.values).itemgot(0)[0] == learn.recorder.epochs[-1].train_loss


def test_a_metric_may_be_alone_have_no_name_and_must_be_a_number(dls):
    learn = learner_of(dls, metrics=lambda p, t: (p - t).abs().max())
    assert list(learn.metrics) == ["<lambda>"]
    twice = learner_of(dls, metrics=[rmse, rmse])
    assert list(twice.metrics) == ["rmse", "rmse 2"]
    for wrong in ("rmse", [3], [CrossEntropyLossFlat]):
        with pytest.raises(OptionError, match="metrics"):
            learner_of(dls, metrics=wrong)
    bad = learner_of(dls, metrics=[lambda p, t: p - t])
    with pytest.raises(OptionError, match=r"the metric <lambda> gave a tensor of shape"):
        bad.fit(1)


@pytest.mark.parametrize("shape", [(3,), (3, 1)], ids=["flat", "one column"])
def test_errors_of_numbers_do_not_broadcast(shape):
    scores, targets = torch.tensor([1.0, 2.0, 3.0]).reshape(shape), torch.tensor([[1.0], [2.0], [6.0]])
    assert (mse(scores, targets), mae(scores, targets)) == (3, 1)
    assert rmse(scores, targets) == pytest.approx(math.sqrt(3))
    for of in (mse, rmse, mae, MSELossFlat()):
        with pytest.raises(DataError, match="CrossEntropyLossFlat"):
            of(torch.zeros(3, 5), targets)


def test_shares_of_right_classes():
    scores, codes = torch.eye(3), torch.tensor([[0], [1], [0]])
    assert accuracy(scores, codes) == pytest.approx(2 / 3)
    assert error_rate(scores, codes) == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="CategoryBlock"):
        accuracy(scores, codes.float())
    with pytest.raises(DataError, match="each class"):
        accuracy(scores[:, :1], codes)


# ---- classes


def test_ratings_as_classes(dls, dls_of_classes):
    assert dls_of_classes.vocab == sorted(set(frame_of()["stars"]))
    assert (dls_of_classes.c, dls.c) == (len(dls_of_classes.vocab), 1)
    _, y = dls_of_classes.one_batch()
    assert (y.dtype, y.shape) == (torch.int64, (32, 1))
    number = torch.tensor(list(map(float, dls_of_classes.vocab)))
    torch.testing.assert_close(number[dls_of_classes.train.tensors[1]], dls.train.tensors[1])
    known = set(frame_of().iter_rows())
    assert set(dls_of_classes.show_batch(max_n=8).iter_rows()) <= known
    net = TabularModel(get_emb_sz(dls_of_classes), 0, dls_of_classes.c, [10], ps=0.1)
    learn = Learner(dls_of_classes, net, CrossEntropyLossFlat(), metrics=[accuracy], **QUIET)
    learn.fit(3, 1e-2)
    probabilities, codes, decoded = learn.get_preds(with_decoded=True)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(codes)))
    assert learn.validate()[1] == pytest.approx(float((decoded == codes[:, 0]).float().mean()))
    assert set(learn.show_results(max_n=30)["stars_pred"]) <= set(dls_of_classes.vocab)
    row, one, of_one = learn.predict({"who": "u1", "what": "i1"})
    assert dls_of_classes.vocab[int(one)] == row["stars"][0]
    assert of_one.shape == (dls_of_classes.c,)


def test_classes_that_do_not_fit_are_refused(dls, dls_of_classes):
    with pytest.raises(OptionError, match="TabularModel"):
        collab_learner(dls_of_classes)
    with pytest.raises(OptionError, match="y_block"):
        CollabDataLoaders.from_df(frame_of(), y_block="classes")
    with pytest.raises(OptionError, match="different ones"):
        CollabDataLoaders.from_df(frame_of().with_columns(stars=pl.int_range(pl.len())), y_block=CategoryBlock)
    for outputs, given, says in ((5, dls, "CategoryBlock"), (2, dls_of_classes, r"dls\.c")):
        learn = Learner(given, TabularModel(get_emb_sz(dls), 0, outputs, [4]), CrossEntropyLossFlat(), **QUIET)
        with pytest.raises(DataError, match=says):
            learn.fit(1)


def test_the_net_with_batch_normalization(dls):
    net = TabularModel(get_emb_sz(dls), 0, 1, [8, 4], ps=[0.1, 0.2], embed_p=0.1, y_range=(0, 5.5))
    assert [type(part) for part in net.layers[0]] == [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout]
    assert len(net.layers) == 3
    learn = Learner(dls, net, **QUIET)
    before = learn.validate()[0]
    learn.fit_one_cycle(3, 5e-2)
    assert learn.validate()[0] < before
    with_columns = TabularModel([(3, 2)], 2, 1, [4], use_bn=False)
    assert with_columns(torch.tensor([[1], [2]]), torch.ones(2, 2)).shape == (2, 1)
    with pytest.raises(DataError, match="2 continuous"):
        with_columns(torch.tensor([[1]]))
    with pytest.raises(OptionError, match="ps has 1"):
        TabularModel([(3, 2)], 0, 1, [4, 4], ps=[0.1])


# ---- predictions


def test_predictions_of_all_kinds_of_rows(dls):
    learn = learner_of(dls)
    learn.fit(2, 1e-2)
    x, y = dls.valid.tensors
    predictions, targets = learn.get_preds()
    torch.testing.assert_close(predictions, learn.model(x).detach())
    assert targets is y or torch.equal(targets, y)
    inputs, on_training, _ = learn.get_preds(ds_idx=0, with_input=True)
    torch.testing.assert_close(on_training, learn.model(inputs).detach())
    assert torch.equal(inputs, dls.train.tensors[0])
    pytest.importorskip("pyarrow")
    rows = dls.decode_batch(x, y)
    for form in (rows, rows.to_arrow(), rows.to_dict(as_series=False), rows.to_dicts()):
        of_form, none = learn.get_preds(dl=dls.test_dl(form))
        torch.testing.assert_close(of_form, predictions)
        assert none is None
    with_ratings = dls.test_dl(rows, with_labels=True)
    assert learn.validate(dl=with_ratings)[0] == pytest.approx(learn.validate()[0], rel=1e-5)
    row, rating, same = learn.predict(rows.row(0, named=True))
    assert rating == same == pytest.approx(predictions[0].item(), rel=1e-5)
    assert row.row(0)[:2] == rows.row(0)[:2]
    with pytest.raises(OptionError, match="one row"):
        learn.predict(rows)
    with pytest.raises(OptionError, match="ds_idx"):
        learn.get_preds(ds_idx=2)
    with pytest.raises(DataError, match="no column 'what'"):
        dls.test_dl(rows.select("who"))
    with pytest.raises(DataError, match="no rows"):
        learn.get_preds(dl=dls.test_dl(rows.head(0)))
    one_more = rows.with_columns(when=pl.lit("x").str.split(","))  # a column that is no label, and is not read
    assert dls.test_dl(one_more).n == len(rows)


def test_new_rows_from_a_file(dls, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("note,who,what\n1,u1,i2\n2,u3,i4\n", encoding="utf-8")
    expected = dls.test_dl({"who": ["u1", "u3"], "what": ["i2", "i4"]})
    assert torch.equal(dls.test_dl(path).tensors[0], expected.tensors[0])
    with pytest.raises(DataError, match="no column 'stars'"):
        dls.test_dl(path, with_labels=True)


def test_unknown_labels_are_missing_unless_none_can_be_known(dls):
    learn = learner_of(dls)
    row, _, _ = learn.predict({"who": "somebody", "what": "i1"})
    assert row["who"][0] == "#na#"
    with pytest.raises(UnknownLabelError, match="who"):
        dls.test_dl({"who": [1, 2], "what": ["i1", "i2"]})
    numbers = CollabDataLoaders.from_df(frame_of().with_columns(pl.col("who").str.slice(1).cast(pl.Int64)))
    with pytest.raises(UnknownLabelError, match="unknown who '1'"):
        numbers.test_dl({"who": ["1"], "what": ["i1"]})
    mixed = collab_learner(numbers, 3, **QUIET).dls.test_dl({"who": [1, 999], "what": ["i1", "i1"]})
    assert mixed.tensors[0][:, 0].tolist() == [numbers.classes["who"].o2i[1], 0]


def test_frames_are_those_of_the_reader(dls):
    pd = pytest.importorskip("pandas")
    of_pandas = CollabDataLoaders.from_df(pd.DataFrame(frame_of().to_dict(as_series=False)), bs=32)
    learn = learner_of(of_pandas)
    for shown in (of_pandas.show_batch(max_n=3), learn.show_results(max_n=3)):
        assert isinstance(shown, pd.DataFrame)
        assert len(shown) == 3
    frame = of_pandas.show_batch(max_n=4)
    assert learn.get_preds(dl=of_pandas.test_dl(frame))[0].shape == (4, 1)
    assert isinstance(learn.predict(frame.iloc[0])[0], pd.DataFrame)
    assert isinstance(dls.show_batch(max_n=3), pl.DataFrame)
    with pytest.raises(OptionError, match="max_n"):
        dls.show_batch(max_n=0)


def test_odd_labels_stay_as_they_are(tmp_path):
    odd = ["<b>&amp;", "C:\\x", "it's", "a|b", "#na#2", 'say "hi"', "日本", "-1"]
    frame = {"who": ["ann", "bob"] * 8, "what": odd * 2, "stars": [1, 2, 3, 4] * 4}
    frame["who"] = [f"{who}{at // 8}" for at, who in enumerate(frame["who"])]
    known = CollabDataLoaders.from_df({name: column[2:] for name, column in frame.items()}, bs=4)
    learn = learner_of(known)
    learn.fit(1)
    learn.export(tmp_path / "odd")
    again = load_learner(tmp_path / "odd")
    assert again.dls.classes == known.classes
    label = known.classes["what"][1]
    asked = {"who": known.classes["who"][1], "what": label}
    assert again.predict(asked)[0]["what"][0] == label
    torch.testing.assert_close(again.predict(asked)[2], learn.predict(asked)[2])
    with pytest.raises(OptionError, match="test_dl"):
        again.get_preds()


# ---- callbacks


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        ([4, 3, 3.5, 3.2, 9], {}, 3),
        ([4, 3, 3.5, 3.2, 2], {"patience": 2}, 4),
        ([4, 3.99, 3.98, 3.97, 3], {"patience": 2, "min_delta": 0.1}, 3),
        ([1, 2, 3, 2, 2], {"comp": np.greater}, 4),
        ([1, 2, 3, 4, 5], {"monitor": "mean_of"}, 5),
        ([1, 2, 3, 4, 5], {"monitor": "mean_of", "comp": np.less}, 2),
    ],
    ids=["one worse", "two worse", "not enough better", "higher is better", "a metric", "a metric that should fall"],
)  # fmt: skip
def test_early_stopping(dls, capsys, values, options, epochs):
    def mean_of(predictions, targets):
        return predictions.mean()

    def loss(predictions, targets):
        return predictions.mean()  # the validation loss is the scripted value

    learn = Learner(dls, Scripted(values), loss, metrics=mean_of, **QUIET)
    learn.fit(5, cbs=EarlyStoppingCallback(**options))
    assert len(learn.recorder.values) == epochs
    if epochs < 5:
        assert "ended by EarlyStoppingCallback" in capsys.readouterr().err


def test_the_best_model_is_saved_and_loaded(dls, tmp_path, capsys):
    learn = learner_of(dls, path=tmp_path)
    kept = SaveModelCallback(fname="best")
    learn.fit(4, 5.0, cbs=kept)  # far too high a rate: later epochs are worse
    losses = [row[1] for row in learn.recorder.values]
    assert learn.validate()[0] == pytest.approx(min(losses), rel=1e-5)
    assert kept.best == min(losses)
    assert kept.last_saved_path == tmp_path / "models" / "best.palate"
    assert learn.callbacks == []
    every = SaveModelCallback(fname="each", every_epoch=2)
    learn.fit(3, 1e-3, cbs=[every])
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [
        "best.palate",
        "each_0.palate",
        "each_2.palate",
    ]
    learn.fit(1, 1e-3, cbs=[SaveModelCallback(fname="last", at_end=True)])
    now = deepcopy(learn.model.state_dict())
    learn.load("best")
    learn.load("last")
    for name, weight in learn.model.state_dict().items():
        torch.testing.assert_close(weight, now[name], rtol=0, atol=0)


def test_what_a_callback_cannot_watch(dls):
    with pytest.raises(OptionError, match=r"'rmse': this learner has train_loss, valid_loss\."):
        learner_of(dls).fit(1, cbs=EarlyStoppingCallback("rmse"))
    with pytest.raises(OptionError, match="comp"):
        TrackerCallback(comp=min)
    with pytest.raises(OptionError, match="patience"):
        EarlyStoppingCallback(patience=0)
    with pytest.raises(OptionError, match=r"EarlyStoppingCallback\(\)"):
        learner_of(dls, cbs=EarlyStoppingCallback)
    assert [TrackerCallback(name).comp for name in ("rmse", "error_rate", "accuracy")] == [np.less, np.less, np.greater]


def test_a_history_as_csv(dls, tmp_path):
    learn = learner_of(dls, path=tmp_path, metrics=mae)
    learn.fit(2, cbs=CSVLogger())
    learn.fit(1, cbs=CSVLogger(append=True))
    with (tmp_path / "history.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["epoch", "train_loss", "valid_loss", "mae", "time"]
    assert [row[0] for row in rows] == ["0", "1", "0"]
    assert float(rows[-1][3]) == learn.recorder.values[-1][2]


# ---- files


def test_weights_and_the_optimizer_come_back(dls, tmp_path):
    learn, other = learner_of(dls, path=tmp_path), learner_of(dls, path=tmp_path)
    learn.fit(2, 1e-2)
    assert learn.save("half") == tmp_path / "models" / "half.palate"
    assert other.load("half.palate") is other
    for one, same in zip(learn.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=0, atol=0)
    state, same = (given.optimizer.state_dict()["state"] for given in (learn, other))
    torch.testing.assert_close(state, same, rtol=0, atol=0)
    assert state
    other.fit(1, 1e-2)
    assert len(other.recorder.values) == 1
    bare = learner_of(dls, path=tmp_path)
    learn.save("bare", with_opt=False)
    bare.load("bare")
    assert not bare.optimizer.state_dict()["state"]
    with pytest.raises(OptionError, match="another model"):
        collab_learner(dls, 7, path=tmp_path).load("half")
    with pytest.raises(PalateError, match="no file"):
        bare.load("nothing")
    bare.export("export.palate")
    with pytest.raises(NotAModelError, match="load_learner"):
        bare.load(tmp_path / "export.palate")
    with pytest.raises(NotAModelError):
        load_learner(tmp_path / "models" / "half.palate")


def test_a_checkpoint_of_a_fit_keeps_its_metrics(dls, tmp_path):
    learn = learner_of(dls, metrics=[mae], callbacks=[SaveCheckpoint(tmp_path / "c")])
    learn.fit(2)
    again = palate.nn.Learner(dls, learner_of(dls).model, loss=learn.loss, metrics=[mae], weight_decay=0.01, **QUIET)
    again.load(tmp_path / "c")
    assert [epoch.metrics for epoch in again.recorder.epochs] == [epoch.metrics for epoch in learn.recorder.epochs]
    assert again.columns == ["train loss", "valid loss", "RMSE", "mae"]


# ---- the rest of a learner


def test_notes_and_no_ops(dls, capsys):
    learn = learner_of(dls)
    assert learn.to_fp16() is learn
    assert "float32" in capsys.readouterr().err
    assert learn.to_fp32() is learn
    learn.freeze()
    learn.unfreeze()
    learn.fine_tune(2, 1e-2)
    assert [len(learn.recorder.epochs), len(learn.recorder.values)] == [3, 2]
    loud = collab_learner(dls, 3, progress=True)
    with loud.no_bar():
        loud.fit(1)
    assert (capsys.readouterr().err, loud.progress) == ("", True)


def test_the_summary_names_the_layers(dls):
    learn = Learner(dls, TabularModel(get_emb_sz(dls), 0, 1, [8]), **QUIET)
    text = learn.summary()
    assert repr(text) == text
    total = sum(parameter.numel() for parameter in learn.model.parameters())
    assert f"parameters: {total:,}, of them trained: {total:,}" in text
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert "32 x 8" in rows["layers.0.0"]
    assert "MSELossFlat" in text


def test_rates_that_a_search_suggests(dls):
    learn = learner_of(dls)
    before = deepcopy(learn.model.state_dict())
    found = learn.lr_find(show_plot=False)
    assert found._fields == ("valley",)
    assert found.valley == learn.recorder.searches[-1].suggestion
    several = learn.lr_find(num_it=60, show_plot=False, suggest_funcs=(minimum, steep, valley, slide))
    assert several._fields == ("minimum", "steep", "valley", "slide")
    assert all(1e-8 < rate < 10 for rate in several)
    for name, weight in learn.model.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


def test_suggestions_of_a_known_curve():
    rates = [10.0**at for at in np.linspace(-6, 1, 71)]
    losses = [2 - 1 / (1 + math.exp(-4 * (math.log10(rate) + 2))) + (rate > 1) * 3 * rate for rate in rates]
    assert minimum(rates, losses) == pytest.approx(0.1, rel=0.3)
    assert 3e-3 < steep(rates, losses) < 3e-2
    assert 1e-6 <= slide(rates, losses) <= 10
    with pytest.raises(OptionError, match="finite"):
        minimum(rates, [math.nan] * 71)


def test_pictures(dls):
    plt = pytest.importorskip("matplotlib.pyplot")
    before = plt.get_backend()
    plt.switch_backend("agg")
    learn = learner_of(dls)
    for draw in (learn.recorder.plot_loss, learn.recorder.plot_sched, learn.recorder.plot_lr_find):
        with pytest.raises(OptionError, match="yet"):
            draw()
    learn.fit_one_cycle(3, 1e-2)
    ax = learn.recorder.plot_loss(skip_start=2)
    train, valid = ax.lines
    assert train.get_xdata()[0] == 2
    assert list(valid.get_ydata()) == [row[1] for row in learn.recorder.values]
    assert len(learn.recorder.plot_loss(with_valid=False, ax=plt.subplots()[1]).lines) == 1
    assert max(learn.recorder.plot_sched().lines[0].get_ydata()) == pytest.approx(1e-2, rel=1e-2)
    plt.close("all")
    learn.lr_find()
    assert len(plt.get_fignums()) == 1  # pyplot shows it
    assert plt.gcf().axes[0].get_xscale() == "log"
    plt.savefig(io.BytesIO())
    plt.close("all")
    plt.switch_backend(before)


# ---- pca


def test_trained_weights_have_pca_and_nothing_else_has(dls, tmp_path):
    learn = learner_of(dls)
    factors = learn.model.item_factors.weight
    assert type(factors) is nn.Parameter
    learn.fit(1)
    assert learn.model.item_factors.weight is factors
    rows = factors[tensor([1, 2, 3, 4])].cpu().detach()
    torch.testing.assert_close(rows.pca(2), book.pca(rows, 2))
    torch.testing.assert_close(learn.model.weight(["i1", "i2"]).pca(1), book.pca(learn.model.weight(["i1", "i2"]), 1))
    for plain in (factors.squeeze(), factors * 2, rows.pca(2), rows.sum(), factors.data):
        assert type(plain) is torch.Tensor
    assert repr(rows).startswith("tensor(")
    assert repr(factors).startswith("Parameter containing:\ntensor(")
    torch.save(learn.model.state_dict(), tmp_path / "weights.pth")
    loaded = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert {type(weight) for weight in loaded.values()} == {torch.Tensor}
    copy = deepcopy(learn.model)
    torch.testing.assert_close(copy.item_factors.weight, factors)
    for wrong in ((factors[0], 1), (factors, 0), (factors, 4)):
        with pytest.raises(OptionError):
            book.pca(*wrong)
    seen = []

    class Looks(palate.nn.Callback):
        def after_batch(self, learner):
            seen.append({type(parameter) for parameter in learner.model.parameters()})

    learn.fit(1, cbs=Looks())
    assert seen[0] == {nn.Parameter}  # within a fit they are plain, which is faster
    assert type(factors) is Weights


# ---- names


def test_lists():
    assert L(None) == []
    assert L("abc") == ["abc"]
    assert L(torch.ones(2))[0].shape == (2,)
    numbers = L(range(12))
    assert repr(numbers) == "(#12) [0, 1, 2, 3, 4, 5, 6, 7, 8, 9...]"
    assert numbers[2:4] == numbers[[2, 3]] == numbers[np.arange(12) // 2 == 1] == [2, 3]
    assert numbers[torch.tensor(3)] == 3
    assert numbers.map(lambda x, by: x * by, by=2)[-1] == 22
    assert L([{"a": [1]}, {"a": [2]}]).itemgot("a", 0) == [1, 2]
    assert L([1j]).attrgot("imag") == [1]


def test_seeds_and_first(dls):
    set_seed(3, reproducible=True)
    one = torch.rand(1), np.random.choice(9, 5).tolist()  # noqa: NPY002
    set_seed(3)
    assert (torch.rand(1), np.random.choice(9, 5).tolist()) == one  # noqa: NPY002
    with pytest.raises(OptionError):
        set_seed(-1)
    x, y = first(dls.train)
    assert (x.shape, y.shape) == ((32, 2), (32, 1))
    assert first([]) is None
    assert isinstance(to_np(y.requires_grad_()), np.ndarray)


def test_delegates_shows_the_options_that_are_passed_on():
    class Base:
        def __init__(self, width, color="red", size=1):
            pass

    @delegates()
    class Derived(Base):
        def __init__(self, name, size=2, **kwargs):  # noqa: ARG002
            super().__init__(1, size=size, **kwargs)

    assert str(inspect.signature(Derived)) == "(name, size=2, *, color='red')"
    Derived("x", color="blue")

    @delegates(Base, keep=True)
    def make(**kwargs):
        return kwargs

    assert str(inspect.signature(make)) == "(*, color='red', size=1, **kwargs)"
    assert make(color=1) == {"color": 1}
    with pytest.raises(OptionError, match="kwargs"):
        delegates(Base)(lambda x: x)


def test_a_library_that_is_missing_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(book_names.OPTIONAL, "plt", ("no_such.pyplot", "matplotlib", "plot"))
    with pytest.raises(ImportError, match=r"pip install 'palate\[plot\]'"):
        book.plt.subplots()
    with pytest.raises(AttributeError, match="nothing"):
        _ = book.nothing


def test_data_sets_that_palate_does_not_have():
    with pytest.raises(DatasetError, match=r"URLs\.ADULT_SAMPLE; it has URLs\.ML_100k"):
        _ = URLs.ADULT_SAMPLE
    with pytest.raises(DatasetError, match="it has ml-100k"):
        untar_data("https://example.org/adult.tgz")
    assert "ML_1M" in dir(URLs)


def test_the_chapters_files_are_written_where_the_data_has_another_form(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t10\t3\t881250949\n7\t2\t5\t881250950\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "10\tRichard III\t1995\tDrama War\n2\tGoldenEye\t1995\tAction\n"
    )
    monkeypatch.setenv("PALATE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    path = untar_data("https://files.grouplens.org/datasets/movielens/ml-100k.zip")
    assert path.ls().attrgot("name") == ["u.data", "u.item"]
    assert (path / "u.data").read_text() == "196\t10\t3\t881250949\n7\t2\t5\t881250950\n"
    rows = [line.split("|") for line in (path / "u.item").read_text(encoding="latin-1").splitlines()]
    assert [row[:2] for row in rows] == [["2", "GoldenEye (1995)"], ["10", "Richard III (1995)"]]
    assert {len(row) for row in rows} == {24}
    assert [row.count("1") for row in rows] == [1, 2]
