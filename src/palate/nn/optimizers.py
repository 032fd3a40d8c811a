"""Optimizers: AdamW by default, or a class of torch.optim, or a function that makes one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from palate.errors import OptionError

Optimizer = torch.optim.Optimizer
Factory = Callable[[Iterable[nn.Parameter], float, float], Optimizer]  # (parameters, lr, wd) -> optimizer


def adamw(params: Iterable[nn.Parameter], lr: float, wd: float) -> Optimizer:
    """AdamW with the settings of fast.ai: decoupled weight decay, betas (0.9, 0.99), eps 1e-5.

    Its step runs without torch's profiling and hooks, which take half as long as the step of a small model itself. Use
    an optimizer of your own if you need hooks on steps.
    """
    given, options = list(params), dict[str, Any](lr=lr, weight_decay=wd, betas=(0.9, 0.99), eps=1e-5)
    try:
        optimizer = torch.optim.AdamW(given, **options, fused=True)  # one pass over the weights, not a dozen
    except RuntimeError:  # an older torch, or a device without a fused step
        optimizer = torch.optim.AdamW(given, **options)
    whole_step = partial(torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step)), optimizer)
    optimizer.step = partial(_fused_step, optimizer, whole_step)  # type: ignore[method-assign]
    return optimizer


def _fused_step(optimizer: Optimizer, whole_step: Callable[[], object]) -> None:
    """A step of AdamW by torch's fused function alone, without the checks before it, which take longer.

    whole_step does what is left: the first step, which makes the state, and all steps of an optimizer without the
    fused function or with gradients that it does not take.
    """
    group = optimizer.param_groups[0]
    params = [parameter for parameter in group["params"] if parameter.grad is not None]
    states: list[Any] = [optimizer.state.get(parameter) for parameter in params]
    is_plain = len(optimizer.param_groups) == 1 and group["fused"] and not group["amsgrad"] and not group["maximize"]
    if not is_plain or not params or not all(states) or any(parameter.grad.is_sparse for parameter in params):
        whole_step()
        return
    with torch.no_grad():
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            params,
            [parameter.grad for parameter in params],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


def factory_of(given: Any) -> Factory:
    """A function of (parameters, lr, wd) that makes the optimizer; AdamW for None.

    given: such a function, or a class of torch.optim (or a functools.partial of one). Raise OptionError for anything
    else. The function raises OptionError if the result is no optimizer that the training loop can step.
    """
    if given is None:
        return adamw
    target = given.func if isinstance(given, partial) else given
    is_class = isinstance(target, type) and issubclass(target, Optimizer)
    if not callable(target) or (isinstance(target, type) and not is_class):
        shown = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
        raise OptionError(
            f"optimizer={shown!r}: give a class, such as "
            "torch.optim.SGD, or a function of (parameters, lr, wd) that makes an optimizer of them."
        )
    make = partial(_from_class, given) if is_class else given
    return lambda params, lr, wd: _checked_optimizer(make(params, lr, wd))


def _from_class(given: Callable[..., Optimizer], params: Iterable[nn.Parameter], lr: float, wd: float) -> Optimizer:
    """An optimizer of torch.optim, its options passed by name because their order differs from class to class."""
    kinds = {name: parameter.kind for name, parameter in inspect.signature(given).parameters.items()}
    if "weight_decay" in kinds or inspect.Parameter.VAR_KEYWORD in kinds.values():
        return given(params, lr=lr, weight_decay=wd)
    if wd:
        name = getattr(given, "__name__", "this optimizer")
        raise OptionError(f"{name} has no weight decay: leave weight_decay= and wd= at 0, or take another optimizer.")
    return given(params, lr=lr)


def _checked_optimizer(made: Any) -> Optimizer:
    """The optimizer; raise OptionError if it is none, or if its step needs a closure."""
    if not isinstance(made, Optimizer):
        raise OptionError(f"optimizer= made a {type(made).__name__}, which is not a torch.optim.Optimizer.")
    closure = inspect.signature(made.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise OptionError(
            f"{type(made).__name__} computes the loss several times in a step (its step needs a closure), and this "
            "loop computes it once: take another optimizer, such as torch.optim.AdamW."
        )
    return made


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen; raise OptionError if there are none."""
    found = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not found:
        raise OptionError(
            f"{type(model).__name__} has no parameter to train: unfreeze some (parameter.requires_grad_(True)), or "
            "make them nn.Parameter."
        )
    return found


def with_state_of(old: Optimizer, new: Optimizer) -> Optimizer:
    """The new optimizer with its own options and the old one's state, such as Adam's running means."""
    new.load_state_dict({**new.state_dict(), "state": old.state_dict()["state"]})
    return new


def set_rates(optimizer: Optimizer, lr: float, momentum: float | None) -> None:
    """Set learning rate and momentum; with None, and in optimizers without momentum, the momentum stays."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif momentum is not None and group.get("momentum"):
            group["momentum"] = momentum
