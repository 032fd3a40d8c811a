"""Learning rates over time, the optimizers that take them, and the search for a good one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.errors import OptionError
from palate.options import is_number

WARM_UP = 0.25  # share of a cycle that the learning rate rises
START, END = 25.0, 1e5  # a cycle starts at lr / START and ends at lr / END
MOMENTA = (0.95, 0.85, 0.95)  # at the start, at the highest learning rate, at the end
SMOOTHING = 0.95  # of the losses in a search
DIVERGED = 4.0  # a search ends when the smoothed loss is this many times its lowest

Optimizer = torch.optim.Optimizer
Factory = Callable[[Iterable[nn.Parameter], float, float], Optimizer]


def linear(start: float, end: float, progress: float) -> float:
    """From start to end in a straight line; progress runs from 0 to 1."""
    return start + (end - start) * progress


def cosine(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine: flat at both ends."""
    return linear(start, end, (1 - math.cos(math.pi * progress)) / 2)


def exponential(start: float, end: float, progress: float) -> float:
    """From start to end by equal factors.

    >>> exponential(1.0, 100.0, 0.5)
    10.0
    """
    return float(start * (end / start) ** progress)


def one_cycle(start: float, top: float, end: float, progress: float) -> float:
    """Up (or down) from start to top in the first quarter, then on to end, both along cosines (Smith 2018)."""
    if progress < WARM_UP:
        return cosine(start, top, progress / WARM_UP)
    return cosine(top, end, (progress - WARM_UP) / (1 - WARM_UP))


def one_cycle_lr(lr_max: float, progress: float) -> float:
    """The learning rate of a cycle: from lr_max / 25 up to lr_max and down to lr_max / 100,000.

    >>> [round(one_cycle_lr(0.1, at), 6) for at in (0, 0.25, 1)]
    [0.004, 0.1, 1e-06]
    """
    return one_cycle(lr_max / START, lr_max, lr_max / END, progress)


def one_cycle_momentum(progress: float) -> float:
    """The momentum of a cycle, low where the learning rate is high: 0.95, 0.85, 0.95."""
    return one_cycle(*MOMENTA, progress)


SCHEDULES: dict[str, Callable[[float, float], tuple[float, float | None]]] = {  # (lr, progress) -> (lr, momentum)
    "constant": lambda lr, _: (lr, None),
    "one_cycle": lambda lr, progress: (one_cycle_lr(lr, progress), one_cycle_momentum(progress)),
}


def set_rates(optimizer: torch.optim.Optimizer, lr: float, momentum: float | None) -> None:
    """Set learning rate and momentum; None, and optimizers without momentum, keep theirs."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif momentum is not None and group.get("momentum"):
            group["momentum"] = momentum


def check_rate(name: str, given: Any, *, above: bool = False) -> float:
    """The number; OptionError unless it is finite and from 0 up (above 0, if so asked)."""
    if not is_number(given) or not 0 <= given < math.inf:
        raise OptionError(f"{name}={given!r}: give a finite number, {'above 0' if above else '0 or more'}.")
    if above and given == 0:
        raise OptionError(f"{name}=0 would learn nothing: give a number above 0.")
    return float(given)


# ---- optimizers, and what they optimize


def adamw(params: Iterable[nn.Parameter], lr: float, wd: float) -> Optimizer:
    """AdamW with the settings of the book: weight decay apart from the gradients, betas (0.9, 0.99), eps 1e-5.

    Its step is called without torch's profiling and hooks around it, which take half as long as the step of a small
    model itself. For hooks on steps, give the learner an optimizer of your own.
    """
    given, options = list(params), dict[str, Any](lr=lr, weight_decay=wd, betas=(0.9, 0.99), eps=1e-5)
    try:
        optimizer = torch.optim.AdamW(given, **options, fused=True)  # one pass over the weights, not a dozen
    except RuntimeError:  # an older torch, or a device that has no such pass
        optimizer = torch.optim.AdamW(given, **options)
    optimizer.step = partial(torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step)), optimizer)  # type: ignore[method-assign]
    return optimizer


def factory_of(given: Any) -> Factory:
    """A function of (parameters, lr, wd) that makes the optimizer asked for: AdamW for None.

    given: such a function, or a class of torch.optim (or a functools.partial of one). OptionError for anything else,
    and, when it is called, for what makes no optimizer that the loop can step.
    """
    if given is None:
        return adamw
    of = given.func if isinstance(given, partial) else given
    is_class = isinstance(of, type) and issubclass(of, Optimizer)
    if not callable(of) or (isinstance(of, type) and not is_class):
        told = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
        raise OptionError(
            f"optimizer={told!r}: give a class, such as "
            "torch.optim.SGD, or a function of (parameters, lr, wd) that makes an optimizer of them."
        )
    make = partial(by_name, given) if is_class else given
    return lambda params, lr, wd: checked_optimizer(make(params, lr, wd))


def by_name(given: Callable[..., Optimizer], params: Iterable[nn.Parameter], lr: float, wd: float) -> Optimizer:
    """An optimizer of torch with its options by name: their places differ from class to class."""
    kinds = {name: parameter.kind for name, parameter in inspect.signature(given).parameters.items()}
    if "weight_decay" in kinds or inspect.Parameter.VAR_KEYWORD in kinds.values():
        return given(params, lr=lr, weight_decay=wd)
    if wd:
        name = getattr(given, "__name__", "this optimizer")
        raise OptionError(f"{name} knows no weight decay: leave weight_decay= and wd= at 0, or take another.")
    return given(params, lr=lr)


def checked_optimizer(made: Any) -> Optimizer:
    """The optimizer; OptionError for what is none, and for one whose step needs a closure."""
    if not isinstance(made, Optimizer):
        raise OptionError(f"optimizer= made a {type(made).__name__}, which is no torch.optim.Optimizer.")
    closure = inspect.signature(made.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise OptionError(
            f"{type(made).__name__} computes the loss several times in a step (its step needs a closure), and this "
            "loop computes it once: take another optimizer, such as torch.optim.AdamW."
        )
    return made


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen; OptionError when there is none."""
    found = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not found:
        raise OptionError(
            f"{type(model).__name__} has no parameter to train: unfreeze some (parameter.requires_grad_(True)), or "
            "make them nn.Parameter."
        )
    return found


def checked_loss(loss: Any, *, training: bool = False) -> Tensor:
    """The loss; OptionError unless it is one number, and in training one that the parameters decide."""
    if not isinstance(loss, Tensor) or loss.dim():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise OptionError(f"loss= gave {found}: it must give a tensor of one number, shape (), such as a mean().")
    if training and not loss.requires_grad:
        raise OptionError(
            "the loss does not depend on any parameter that is trained: do the model and loss= compute with tensors "
            "all the way (no .item(), .detach() or torch.no_grad()), and are some parameters not frozen?"
        )
    return loss


# ---- the search


@dataclass(frozen=True)
class LrSearch:
    """What trying out learning rates found: one loss for each, the same smoothed, and the rate to begin with."""

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def check_search(lowest: Any, highest: Any) -> None:
    """OptionError unless both are rates and the second is the higher one."""
    if check_rate("lowest", lowest, above=True) >= check_rate("highest", highest, above=True):
        raise OptionError(f"lowest={lowest:g} and highest={highest:g}: the learning rate grows, so highest lies above.")


def smoothed(losses: Sequence[float]) -> list[float]:
    """The running mean of losses, an exponential one that starts without bias."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether a search may end: the loss is no number any more, or several times its lowest."""
    return bool(losses) and not losses[-1] <= DIVERGED * min(losses)


def suggested_lr(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """A tenth of the rate around which losses are lowest on average: well before they rise again.

    The average is over a tenth of the search to both sides, so that it lags behind nothing. nan when it is lowest at
    the first rate: the losses fall nowhere.
    """
    finite = np.array([loss for loss in losses if math.isfinite(loss)])
    if len(finite) == 0:
        return math.nan
    reach = len(finite) // 10
    around = [finite[max(0, at - reach) : at + reach + 1].mean() for at in range(len(finite))]
    lowest = int(np.argmin(around))
    return lrs[lowest] / 10 if lowest else math.nan
