"""Checkpoints: a resumed fit is bit for bit the uninterrupted one, and other trainings are refused."""

import pytest
import torch
from torch import nn

import palate
from helpers.training import (
    RATINGS,
    At,
    dot_model,
    equal,
    interrupt,
    learner,
    loaders,
    net,
    net_with,
    plain_sgd,
    same_state,
    weights,
    with_losses,
)
from palate.errors import ModelFileError, NotAModelError, OptionError
from palate.nn.callbacks import EarlyStopping, KeepBest, RecordNorms, SaveCheckpoint
from palate.nn.models import DotProductBias


def test_ctrl_c_keeps_what_was_learned(capsys):
    stopped = learner(callbacks=[At(6, interrupt)]).fit(5)
    assert len(stopped.recorder.losses) == len(stopped.recorder.lrs) == 6
    assert len(stopped.recorder.epochs) == 1
    assert not equal(weights(stopped), dot_model().state_dict())
    assert "fit interrupted" in capsys.readouterr().err
    assert float(torch.tensor(1e-39) * 1.0) != 0


def test_an_interrupted_fit_resumes_bit_for_bit():
    whole = learner(net()).fit_one_cycle(4, wd=0.1)
    stopped = learner(net(), callbacks=[At(6, interrupt)]).fit_one_cycle(4, wd=0.1)
    torch.rand(1)  # what happens in between does not matter
    same_state(stopped.resume(), whole)
    with pytest.raises(OptionError, match="no unfinished fit"):
        stopped.resume()


@pytest.mark.parametrize("stop_after", range(1, 13))
def test_a_checkpoint_goes_on_bit_for_bit_from_anywhere(stop_after, tmp_path):
    def fresh():
        return learner(net(), callbacks=[SaveCheckpoint(tmp_path / "c", 1), RecordNorms(), KeepBest()])

    whole = fresh().fit_one_cycle(3, wd=0.1)
    stopped = fresh()
    stopped.callbacks.append(At(stop_after, interrupt))  # right after the checkpoint of that batch
    stopped.fit_one_cycle(3, wd=0.1)
    resumed = fresh().load(tmp_path / "c").resume()
    same_state(resumed, whole)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adagrad, torch.optim.NAdam, torch.optim.Rprop])
def test_checkpoints_hold_any_optimizer(optimizer, tmp_path):
    def fresh(*callbacks):
        return learner(optimizer=lambda ps, lr, _: optimizer(ps, lr=lr), callbacks=callbacks)

    fresh(SaveCheckpoint(tmp_path / "c", 3), At(6, interrupt)).fit(2)
    resumed = fresh().load(tmp_path / "c").resume()
    same_state(resumed, fresh().fit(2))


def test_a_fit_ended_early_stays_ended(tmp_path, monkeypatch):
    callbacks = [SaveCheckpoint(tmp_path / "c"), EarlyStopping(patience=1)]
    with_losses(monkeypatch, [5, 6, 7])
    learner(callbacks=callbacks).fit(3)
    with pytest.raises(OptionError, match="no unfinished fit"):
        learner(callbacks=callbacks).load(tmp_path / "c").resume()


def test_best_weights_put_back_cannot_be_resumed_from():
    stopped = learner(callbacks=[KeepBest(), At(6, interrupt)]).fit(5)
    with pytest.raises(OptionError, match="no unfinished fit"):
        stopped.resume()


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (lambda: learner(seed=1), "seed 0, but here seed is 1"),
        (lambda: learner(loaders=loaders(batch_size=32)), "batches"),
        (lambda: learner(loaders=loaders(seed=1)), "order of the batches"),
        (lambda: learner(loaders=loaders(valid=0.5)), "ratings"),
        (lambda: learner(net()), "holds another model"),
        (lambda: learner(DotProductBias(30, 20, 5)), "item_factors.weight has shape"),
        (lambda: learner(optimizer=plain_sgd), "optimizer AdamW"),
        (lambda: learner(callbacks=[KeepBest()]), "callbacks"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(other, complaint, tmp_path):
    learner().fit(1).save(tmp_path / "c")
    another = other()
    before = weights(another)
    with pytest.raises(OptionError, match=complaint):
        another.load(tmp_path / "c")
    assert equal(before, weights(another))


def other_loaders():
    """As many ratings, batches and labels, in the same order, and other values."""
    other = loaders()
    other.train.tensors[1][0] += 1
    return other


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (lambda: learner(net(), loaders=other_loaders()), "training data SHA-256 .* is SHA-256"),
        (lambda: learner(net_with(dropout=0.2)), r"model .*Dropout\(p=0.5.*Dropout\(p=0.2"),
        (lambda: learner(net_with(y_range=(0, 6))), r"y_range None, but here y_range is \(0.0, 6.0\)"),
        (lambda: learner(net(), loss=nn.L1Loss()), "loss mse, but here loss is L1Loss"),
        (lambda: learner(net().bfloat16()), "type of numbers"),
    ],
)
def test_a_checkpoint_of_a_training_of_the_same_shape_is_refused(other, complaint, tmp_path):
    learner(net()).fit(1).save(tmp_path / "c")
    another = other()
    before = weights(another)
    with pytest.raises(OptionError, match=complaint) as caught:
        another.load(tmp_path / "c")
    assert "\n" not in str(caught.value)
    assert equal(before, weights(another))


def test_a_checkpoint_of_another_mean_is_refused(tmp_path):
    learner(DotProductBias(30, 20, 4, mean=3.5)).save(tmp_path / "c")
    with pytest.raises(OptionError, match=r"mean 3.5, but here mean is 3.0"):
        learner(DotProductBias(30, 20, 4, mean=3.0)).load(tmp_path / "c")


def test_a_checkpoint_of_short_numbers_goes_on_bit_for_bit(tmp_path):
    def fresh(*callbacks):
        return learner(dot_model().bfloat16(), callbacks=[SaveCheckpoint(tmp_path / "c", 3), KeepBest(), *callbacks])

    fresh(At(6, interrupt)).fit(3, 0.1)
    resumed = fresh().load(tmp_path / "c").resume()
    assert resumed.model.user_factors.weight.dtype == torch.bfloat16
    same_state(resumed, fresh().fit(3, 0.1))


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    palate.ALS(n_sweeps=1).fit(RATINGS, progress=False).save(tmp_path / "model")
    with pytest.raises(NotAModelError, match="no training checkpoint"):
        learner().load(tmp_path / "model")
    learner().fit(1).save(tmp_path / "c")
    whole = (tmp_path / "c").read_bytes()
    for at in (3, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:at])
        (tmp_path / "flipped").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for name in ("cut", "flipped"):
            with pytest.raises(ModelFileError):
                learner().load(tmp_path / name)
