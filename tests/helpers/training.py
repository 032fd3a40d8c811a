"""For tests of training: small ratings, loaders, models and learners, and what two trainings have in common."""

import dataclasses

import torch
from torch import nn

import palate
from palate.nn.callbacks import Callback
from palate.nn.learner import Learner
from palate.nn.loaders import RatingLoaders
from palate.nn.models import DotProductBias, EmbeddingNet

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


def with_losses(monkeypatch, losses):
    """Validation that says what we want it to."""
    told = iter(losses)
    monkeypatch.setattr(Learner, "_measured", lambda *_: (next(told), 1.0, {}))
