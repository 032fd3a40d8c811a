"""The learner: its loop against one written out by hand, its hooks, its checkpoints, and what it must leave alone."""

import dataclasses
import math
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import palate
from palate.errors import DataError, ModelFileError, NotAModelError, OptionError
from palate.nn import schedules
from palate.nn.callbacks import Callback, EarlyStopping, KeepBest, RecordNorms, SaveCheckpoint
from palate.nn.learner import Learner
from palate.nn.loaders import RatingLoaders
from palate.nn.losses import mse
from palate.nn.models import DotProductBias, EmbeddingNet
from palate.nn.optimizers import adamw

RATINGS = palate.datasets.synthetic(n_users=30, n_items=20, n_ratings=300, seed=1)


def loaders(valid=0.2, batch_size=64, seed=0):
    return RatingLoaders.from_ratings(RATINGS, valid=valid, batch_size=batch_size, seed=seed)


def dot_model(seed=0):
    return DotProductBias(30, 20, 4, y_range=(0, 5.5), generator=torch.Generator().manual_seed(seed))


def net(seed=0):
    """A net with dropout and a batch norm: everything that has a state beside the weights."""
    model = EmbeddingNet([30, 20], layers=(8,), dropout=0.5, generator=torch.Generator().manual_seed(seed))
    model.layers.insert(1, nn.BatchNorm1d(8))
    return model


def net_with(dropout=0.5, y_range=None):
    """The same tensors as the net's, and other options."""
    model = net()
    model.layers[0][2].p, model.y_range = dropout, y_range and tuple(map(float, y_range))
    return model


def learner(model=None, **options):
    given = options.pop("loaders", None) or loaders()
    return Learner(given, model or dot_model(), **({"progress": False, "lr": 0.02} | options))


def plain_sgd(params, lr, _):
    return torch.optim.SGD(params, lr)


def weights(learner):
    return {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def untimed(recorder):
    epochs = [dataclasses.replace(epoch, seconds=0) for epoch in recorder.epochs]
    return dataclasses.replace(recorder, epochs=epochs)


def same_state(one, other):
    """Weights, optimizer, records: all that a training is, except for the clock."""
    assert equal(weights(one), weights(other))
    assert untimed(one.recorder) == untimed(other.recorder)
    states = [trained.optimizer.state_dict() for trained in (one, other)]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    for index, entries in states[0]["state"].items():
        assert equal(entries, states[1]["state"][index])


class At(Callback):
    """Does something once, after so many batches of the fit."""

    def __init__(self, batches, action):
        self.left, self.action = batches, action

    def after_batch(self, learner):
        self.left -= 1
        return self.action(learner) if self.left == 0 else None


def interrupt(learner):
    raise KeyboardInterrupt


# ---- the loop


@pytest.mark.parametrize(
    ("optimizer", "cycle"),
    [
        (None, False),
        (None, True),
        (lambda ps, lr, wd: torch.optim.SGD(ps, lr=lr, weight_decay=wd), True),
        (lambda ps, lr, wd: torch.optim.SGD(ps, lr=lr, weight_decay=wd, momentum=0.9), True),
        (lambda ps, lr, wd: torch.optim.RMSprop(ps, lr=lr, weight_decay=wd), False),
    ],
)
def test_a_fit_is_the_loop_written_out(optimizer, cycle):
    trained = learner(optimizer=optimizer)
    (trained.fit_one_cycle if cycle else trained.fit)(3, 0.05, wd=0.1)

    model, batches, done = dot_model(), loaders().train, 0
    by_hand = (optimizer or adamw)(list(model.parameters()), 0.05, 0.1)
    losses = []
    for epoch in range(3):
        batches.set_epoch(epoch)
        for x, y in batches:
            if cycle:
                set_by_hand(by_hand, 0.05, done / (3 * len(batches)))
            loss = mse(model(x), y)
            by_hand.zero_grad()
            loss.backward()
            by_hand.step()
            losses.append(loss.item())
            done += 1

    assert trained.recorder.losses == pytest.approx(losses, rel=1e-5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-7)
    means = np.array(losses).reshape(3, -1).mean(axis=1)
    assert [epoch.train_loss for epoch in trained.recorder.epochs] == pytest.approx(means, rel=1e-5)


def set_by_hand(optimizer, lr_max, progress):
    """One cycle once more, from its description."""

    def along(start, end, share):
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

    rising, share = progress < 0.25, progress / 0.25 if progress < 0.25 else (progress - 0.25) / 0.75
    for group in optimizer.param_groups:
        group["lr"] = along(lr_max / 25, lr_max, share) if rising else along(lr_max, lr_max / 1e5, share)
        momentum = along(0.95, 0.85, share) if rising else along(0.85, 0.95, share)
        if "betas" in group:
            group["betas"] = (momentum, 0.99)
        elif group["momentum"]:  # plain SGD stays plain
            group["momentum"] = momentum


def test_validation_is_the_mean_error_and_the_rmse_is_clipped():
    trained = learner().fit(1)
    held_out = trained.loaders.valid_ratings
    x = torch.tensor(np.stack([held_out.user_codes, held_out.item_codes], 1), dtype=torch.int64)
    predicted = trained.model(x).detach().numpy()[:, 0]
    low, high = trained.loaders.ratings.range
    loss, rmse = trained.validate()
    assert loss == pytest.approx(np.mean((predicted - held_out.values) ** 2), rel=1e-5)
    assert rmse == pytest.approx(np.mean((predicted.clip(low, high) - held_out.values) ** 2) ** 0.5, rel=1e-5)
    assert (loss, rmse) == (trained.recorder.epochs[-1].valid_loss, trained.recorder.epochs[-1].rmse)

    trained.model.user_bias.weight.data += 100  # all predictions beyond the range: 5.5, clipped to 5
    assert trained.validate().rmse == pytest.approx(np.mean((high - held_out.values) ** 2) ** 0.5, rel=1e-5)


def test_prediction_neither_trains_nor_drops_out():
    trained = learner(net()).fit(1)
    before = weights(trained)
    one, other = (trained.predict(trained.loaders.valid)[0] for _ in range(2))
    assert torch.equal(one, other)
    assert not one.requires_grad
    assert equal(before, weights(trained))
    assert trained.model.training


def test_two_fits_of_one_epoch_are_one_fit_of_two():
    same_state(learner(net()).fit(2), learner(net()).fit(1).fit(1))


def test_a_later_fit_takes_its_own_weight_decay_and_keeps_the_momentum():
    trained = learner().fit(1, wd=0.0)
    averages = trained.optimizer.state_dict()["state"][0]["exp_avg"].clone()
    trained.callbacks = [At(1, lambda _: True)]
    trained.fit(1, lr=1e-12, wd=0.5)
    assert trained.optimizer.param_groups[0]["weight_decay"] == 0.5
    kept = trained.optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.dot(kept.flatten(), averages.flatten()) > 0.5 * averages.square().sum()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop, torch.optim.Adagrad])
def test_a_class_of_torch_gets_its_options_by_name(kind):
    trained = learner(optimizer=kind).fit(2, 0.05, wd=0.1)
    same_state(trained, learner(optimizer=lambda ps, lr, wd: kind(ps, lr=lr, weight_decay=wd)).fit(2, 0.05, wd=0.1))
    assert trained.optimizer.param_groups[0]["weight_decay"] == 0.1


def test_a_partial_of_a_class_gets_them_by_name_too():
    trained = learner(optimizer=partial(torch.optim.SGD, nesterov=False)).fit(1, 0.05, wd=0.1)
    group = trained.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.05, 0.1, 0)


def test_an_optimizer_without_weight_decay_takes_none():
    assert learner(optimizer=torch.optim.Rprop).fit(1).recorder.epochs
    with pytest.raises(OptionError, match="Rprop has no weight decay"):
        learner(optimizer=torch.optim.Rprop).fit(1, wd=0.1)


@pytest.mark.parametrize(
    ("optimizer", "complaint"),
    [
        ("adam", "optimizer='adam': give a class"),
        (torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1), "optimizer='SGD': give a class"),
        (torch.optim.LBFGS, "LBFGS .*closure"),
        (lambda ps, lr, _: torch.optim.LBFGS(ps, lr), "LBFGS .*closure"),
        (lambda *_: "adam", "made a str"),
        (nn.Linear, "optimizer='Linear': give a class"),
    ],
)
def test_what_is_no_optimizer_is_refused(optimizer, complaint):
    with pytest.raises(OptionError, match=complaint):
        learner(optimizer=optimizer)


def test_weight_decay_keeps_weights_small():
    small, large = (learner().fit(10, wd=wd).model.user_factors.weight.norm() for wd in (2.0, 0.0))
    assert small < 0.8 * large


def test_frozen_parameters_stay():
    model = dot_model()
    model.item_factors.weight.requires_grad_(False)
    before = model.item_factors.weight.clone()
    assert torch.equal(learner(model).fit(1, wd=0.5).model.item_factors.weight, before)


def test_a_model_that_is_frozen_all_over_is_refused():
    model = dot_model().requires_grad_(False)
    with pytest.raises(OptionError, match="DotProductBias has no parameter to train"):
        learner(model)
    trained = learner()
    trained.model.requires_grad_(False)
    with pytest.raises(OptionError, match="does not depend on any parameter"):
        trained.fit(1)


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (nn.MSELoss(reduction="none"), r"shape \(64, 1\)"),
        (lambda given, wanted: mse(given, wanted)[None], r"shape \(1,\)"),
        (lambda given, wanted: mse(given, wanted).item(), "a float"),
        (lambda given, wanted: mse(given.detach(), wanted), "does not depend"),
    ],
)
def test_a_loss_that_is_no_number_is_refused(loss, complaint):
    with pytest.raises(OptionError, match=complaint):
        learner(loss=loss).fit(1)
    if complaint != "does not depend":
        with pytest.raises(OptionError, match="loss= gave"):
            learner(loss=loss).validate()


def test_without_a_validation_set():
    trained = learner(loaders=loaders(valid=None)).fit(1)
    epoch = trained.recorder.epochs[0]
    assert (epoch.valid_loss, epoch.rmse) == (None, None)
    with pytest.raises(OptionError, match="no validation set"):
        trained.validate()
    with pytest.raises(OptionError, match="EarlyStopping needs a validation set"):
        learner(loaders=loaders(valid=None), callbacks=[EarlyStopping()]).fit(1)


def test_losses_and_models_of_ones_own():
    model = nn.Linear(2, 1)
    model.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    trained = learner(model, loss=nn.functional.l1_loss, optimizer=plain_sgd)
    trained.fit(1, 1e-4)
    assert math.isfinite(trained.recorder.epochs[0].valid_loss)


# ---- what a fit leaves alone


def legacy():
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - the global one, which nothing may touch


def test_nothing_global_changes():
    torch.manual_seed(5)
    before = (torch.get_rng_state(), torch.get_num_threads(), random.getstate(), legacy())
    trained = learner(net(), n_threads=1).fit_one_cycle(1)
    trained.lr_find(n_batches=3)
    after = (torch.get_rng_state(), torch.get_num_threads(), random.getstate(), legacy())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert float(torch.tensor(1e-39) * 1.0) != 0  # denormals are what they were


def test_denormals_stay_flushed_where_they_were():
    torch.set_flush_denormal(True)
    try:
        learner().fit(1)
        assert float(torch.tensor(1e-39) * 1.0) == 0
    finally:
        torch.set_flush_denormal(False)


def test_the_seed_decides_dropout_and_the_global_seed_does_not():
    torch.manual_seed(1)
    one = weights(learner(net(), seed=3).fit(2))
    torch.manual_seed(2)
    assert equal(one, weights(learner(net(), seed=3).fit(2)))
    assert not equal(one, weights(learner(net(), seed=4).fit(2)))


def test_threads_are_set_for_the_fit_only():
    seen = []
    callback = At(1, lambda _: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    learner(callbacks=[callback], n_threads=before + 1).fit(1)
    assert (seen, torch.get_num_threads()) == ([before + 1], before)
    learner(callbacks=[At(1, lambda _: seen.append(torch.get_num_threads()))]).fit(1)
    assert seen[1] == 1


# ---- schedules and the search


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    rates = [schedules.one_cycle_lr(0.5, at / 1000) for at in range(1001)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[250] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(5e-6)
    assert (np.diff(rates[:251]) > 0).all()
    assert (np.diff(rates[250:]) < 0).all()
    assert [schedules.one_cycle_momentum(at) for at in (0, 0.25, 1)] == pytest.approx([0.95, 0.85, 0.95])


def test_smoothing_starts_without_bias_and_follows():
    assert schedules.smoothed([3.0] * 5) == pytest.approx([3.0] * 5)
    assert schedules.smoothed([0.0] * 100 + [1.0] * 200)[-1] == pytest.approx(1, abs=1e-4)


def test_the_suggestion_is_a_tenth_of_the_lowest():
    lrs = [10.0**power for power in range(-5, 3)]
    assert schedules.suggested_lr(lrs, [5, 5, 4.9, 4, 3.5, 3.4, 3.6, 20]) == pytest.approx(0.1)
    assert schedules.suggested_lr(lrs, [5, 5, 4.9, 4, math.nan]) == pytest.approx(1e-3)
    assert math.isnan(schedules.suggested_lr(lrs, [1, 2, 3, 4, 5, 6, 7, 8]))
    assert math.isnan(schedules.suggested_lr(lrs, [math.nan]))


def test_the_suggestion_is_not_led_astray_by_noise():
    at = np.linspace(0, 1, 200)
    fall = 2 - np.clip((at - 0.5) * 4, 0, 1) + np.clip((at - 0.8) * 20, 0, None)  # lowest from 0.75 to 0.8
    lrs = [schedules.exponential(1e-7, 10.0, progress) for progress in at]
    for seed in range(5):
        noisy = (fall + np.random.default_rng(seed).normal(0, 0.3, 200)).tolist()
        noisy[3] = 0.5
        assert 1e-3 < schedules.suggested_lr(lrs, noisy) * 10 < 1


@pytest.mark.parametrize("rates", [(0, 0.1), (1, 0.1), (0.1, 0.1), (-1, 1), (0.1, math.inf), ("low", 1)])
def test_a_search_that_makes_no_sense_is_refused(rates):
    with pytest.raises(OptionError, match=r"lowest|highest"):
        learner().lr_find(*rates)


@pytest.mark.parametrize("trained", [False, True])
def test_lr_find_leaves_everything_as_it_was(trained):
    one, other = learner(net()), learner(net())
    if trained:
        one.fit(1)
        other.fit(1)
    one.model.eval()
    one.lr_find(n_batches=30)
    assert not one.model.training
    same_state(one, other)
    assert all(parameter.grad is None for parameter in one.model.parameters())
    same_state(one.fit(1), other.fit(1))


def test_lr_find_rises_and_stops_when_diverged():
    model = DotProductBias(30, 20, 4, generator=torch.Generator().manual_seed(0))
    found = learner(model, optimizer=plain_sgd).lr_find(1e-4, 1e4, n_batches=200)
    assert len(found.lrs) == len(found.losses) == len(found.smoothed) < 200
    assert found.lrs[0] == 1e-4
    assert np.diff(np.log(found.lrs)) == pytest.approx(math.log(1e8) / 199)
    assert found.lrs[0] < found.suggestion < found.lrs[-1]
    assert found.smoothed[-1] > 4 * min(found.smoothed) or not math.isfinite(found.losses[-1])
    assert all(type(value) is float for value in found.losses + found.lrs)


# ---- callbacks


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


def with_losses(monkeypatch, losses):
    """Validation that says what we want it to."""
    told = iter(losses)
    monkeypatch.setattr(Learner, "validate", lambda _: (next(told), 1.0))


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


# ---- stopping and going on


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
    stranger = other()
    before = weights(stranger)
    with pytest.raises(OptionError, match=complaint):
        stranger.load(tmp_path / "c")
    assert equal(before, weights(stranger))


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
    stranger = other()
    before = weights(stranger)
    with pytest.raises(OptionError, match=complaint) as caught:
        stranger.load(tmp_path / "c")
    assert "\n" not in str(caught.value)
    assert equal(before, weights(stranger))


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


# ---- options


@pytest.mark.parametrize(
    "options",
    [{"lr": 0}, {"lr": -1}, {"lr": math.nan}, {"lr": "fast"}, {"weight_decay": -1}, {"seed": -1}, {"seed": 1.5},
     {"n_threads": 0}, {"device": "nowhere"}, {"device": "cuda:77"}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError):
        learner(**options)


@pytest.mark.parametrize("arguments", [(0,), (1.5,), (True,), (1, 0), (1, math.inf), (1, 0.1, -1)])
def test_fits_that_make_no_sense_are_refused(arguments):
    with pytest.raises(OptionError):
        learner().fit(*arguments)


def test_shapes_that_would_broadcast_are_refused():
    class Flat(DotProductBias):
        def forward(self, x):
            return super().forward(x)[:, 0]

    with pytest.raises(DataError, match="make them one shape"):
        learner(Flat(30, 20, 3)).fit(1)
    assert torch.get_num_threads() >= 1


# ---- real ratings


@pytest.mark.data
def test_chapter_8_reaches_its_bar(ml_100k_90_10):
    train, test = ml_100k_90_10
    given = RatingLoaders.from_ratings(train, valid=test, batch_size=512)
    model = DotProductBias(943, 1682, 50, y_range=(0, 5.5), generator=torch.Generator().manual_seed(0))
    trained = Learner(given, model, progress=False).fit_one_cycle(5, 5e-3, wd=0.1)
    assert trained.validate().rmse <= 0.9034
    fresh = DotProductBias(943, 1682, 50, y_range=(0, 5.5), generator=torch.Generator().manual_seed(0))
    found = Learner(given, fresh, progress=False).lr_find()
    assert 5e-4 < found.suggestion < 2e-2  # 5e-3 and 1e-2 are the best
