"""Optimizers: classes and functions that make one, and what is refused."""

from functools import partial

import pytest
import torch
from torch import nn

from helpers.training import At, dot_model, learner, same_state
from palate.errors import OptionError
from palate.nn.optimizers import adamw


def test_a_later_fit_takes_its_own_weight_decay_and_keeps_the_momentum():
    trained = learner().fit(1, wd=0.0)
    averages = trained.optimizer.state_dict()["state"][0]["exp_avg"].clone()
    trained.callbacks = [At(1, lambda _: True)]
    trained.fit(1, lr=1e-12, wd=0.5)
    assert trained.optimizer.param_groups[0]["weight_decay"] == 0.5
    kept = trained.optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.dot(kept.flatten(), averages.flatten()) > 0.5 * averages.square().sum()


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


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop, torch.optim.Adagrad])
def test_a_class_of_torch_gets_its_options_by_name(kind):
    trained = learner(optimizer=kind).fit(2, 0.05, wd=0.1)
    same_state(trained, learner(optimizer=lambda ps, lr, wd: kind(ps, lr=lr, weight_decay=wd)).fit(2, 0.05, wd=0.1))
    assert trained.optimizer.param_groups[0]["weight_decay"] == 0.1


def test_a_partial_of_a_class_gets_them_by_name_too():
    trained = learner(optimizer=partial(torch.optim.SGD, nesterov=False)).fit(1, 0.05, wd=0.1)
    group = trained.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.05, 0.1, 0)


# ---- AdamW without its checks


def weights_after_steps(make, n_groups, amsgrad=False):
    """The weights of three parameters, one of them without a gradient in each second step, after five steps."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,), (2, 2))]
    optimizer = make(params)
    for group in optimizer.param_groups:
        group["amsgrad"] = amsgrad
    if n_groups == 2:
        optimizer.add_param_group({"params": [extra := nn.Parameter(torch.ones(3))], "lr": 0.5})
        params.append(extra)
    for step in range(5):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
        for at, parameter in enumerate(params):
            parameter.grad = None if at == 1 and step % 2 else torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in params])


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_a_step_is_that_of_torch_to_the_bit(n_groups, amsgrad):
    def of_torch(params):
        return torch.optim.AdamW(params, lr=0.05, weight_decay=0.1, betas=(0.9, 0.99), eps=1e-5, fused=True)

    ours = weights_after_steps(lambda params: adamw(params, 0.05, 0.1), n_groups, amsgrad)
    assert torch.equal(ours, weights_after_steps(of_torch, n_groups, amsgrad))
    assert not torch.equal(ours, weights_after_steps(lambda params: adamw(params, 0.05, 0.2), n_groups, amsgrad))
