"""Callbacks: when they run, early stopping, the best weights, norms."""

import pytest
import torch

from helpers.training import dot_model, equal, learner, loaders, plain_sgd, weights, with_losses
from palate.errors import OptionError
from palate.nn.callbacks import Callback, EarlyStopping, KeepBest, RecordNorms
from palate.nn.losses import mse
from palate.nn.models import DotProductBias


@pytest.mark.parametrize(
    ("callbacks", "complaint"),
    [
        (KeepBest(), r"callbacks=\[KeepBest\(\)\]"),
        ([KeepBest], r"the class KeepBest: make one, KeepBest\(\)"),
        ([print], "not a palate.nn.Callback"),
    ],
)
def test_what_are_no_callbacks_is_refused(callbacks, complaint):
    with pytest.raises(OptionError, match=complaint):
        learner(callbacks=callbacks)


def test_hooks_come_in_order():
    told = []

    class Teller(Callback):
        def before_fit(self, learner):  # noqa: ARG002
            told.append("before_fit")

        def after_batch(self, learner):
            told.append("after_batch")
            assert all(weight.grad is not None for weight in learner.model.parameters())

        def after_epoch(self, learner):
            told.append(f"after_epoch {learner.recorder.epochs[-1].number}")

        def after_fit(self, learner):  # noqa: ARG002
            told.append("after_fit")

    learner(callbacks=[Teller()], loaders=loaders(batch_size=120)).fit(2)
    epoch = ["after_batch"] * 2
    assert told == ["before_fit", *epoch, "after_epoch 1", *epoch, "after_epoch 2", "after_fit"]


def test_early_stopping_waits_for_its_patience(monkeypatch, capsys):
    with_losses(monkeypatch, [5, 4, 4.5, 3.95, 4.2, 3.96, 1])
    trained = learner(callbacks=[EarlyStopping(patience=3, min_delta=0.1)]).fit(7)
    assert len(trained.recorder.epochs) == 5  # 3.95 is not enough better than 4
    assert trained.ended == "ended by EarlyStopping"
    assert "fit ended by EarlyStopping" in capsys.readouterr().err
    with pytest.raises(OptionError, match="no unfinished fit"):
        trained.resume()


def test_keep_best_puts_the_best_epoch_back(monkeypatch):
    second = weights(learner().fit(2))
    with_losses(monkeypatch, [5, 2, 4, 3, 6])
    kept = learner(callbacks=[KeepBest()]).fit(4)
    assert equal(weights(kept), second)
    kept.fit(1)  # the only epoch of its fit, and so the best
    assert len(kept.recorder.epochs) == 5


def test_norms_are_those_of_all_weights_and_gradients():
    trained = learner(callbacks=[RecordNorms()], loaders=loaders(batch_size=1000)).fit(3)
    model = dot_model()
    x, y = next(iter(loaders(batch_size=1000).train))
    mse(model(x), y).backward()
    gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm()
    assert trained.recorder.gradient_norms[0] == pytest.approx(gradient.item(), rel=1e-4)
    last = torch.cat([weight.detach().flatten() for weight in trained.model.parameters()]).norm()
    assert trained.recorder.weight_norms[-1] == pytest.approx(last.item(), rel=1e-4)
    assert len(trained.recorder.gradient_norms) == 3


def test_divergence_ends_the_fit_and_says_what_to_do(capsys):
    model = DotProductBias(30, 20, 4)
    trained = learner(model, optimizer=plain_sgd).fit(20, 1e6)
    assert len(trained.recorder.epochs) < 20
    assert "take a lower learning rate" in capsys.readouterr().err


def test_the_table_has_a_line_per_epoch(capsys):
    learner(progress=True).fit(2)
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert ["epoch", "train", "loss", "valid", "loss", "RMSE", "time"] in lines
    assert [line[0] for line in lines if line[-1] == "s"] == ["1", "2"]


@pytest.mark.parametrize("progress", [False, "auto"])
def test_nothing_is_printed_when_nobody_looks(progress, capsys):
    learner(progress=progress).fit(1)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
