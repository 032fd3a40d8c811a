"""The learner: its loop against one written by hand, its options, and what it must leave unchanged."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training import At, dot_model, equal, learner, loaders, net, plain_sgd, same_state, weights
from palate.errors import DataError, OptionError
from palate.nn.callbacks import EarlyStopping
from palate.nn.learner import Learner
from palate.nn.loaders import RatingLoaders
from palate.nn.losses import mse
from palate.nn.models import DotProductBias
from palate.nn.optimizers import adamw

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


# ---- what a fit leaves unchanged


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
