"""Small things under the chapter's names: lists, modules and tensors; pandas and pyplot if they are there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.errors import OptionError, PalateError
from palate.nn import embedding
from palate.options import check_seed, check_whole

SHOWN = 10  # elements in the repr of an L


class MissingError(PalateError, ImportError):
    """A library that palate does without is not installed."""


class Missing:
    """Stands for a library that is not installed; the first use says how to install it."""

    def __init__(self, name: str, library: str, extra: str) -> None:
        self._says = f"{name} is {library}, which is not installed: pip install 'palate[{extra}]'."

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what inspect and copy ask of anything
            raise AttributeError(name)
        raise MissingError(self._says)


OPTIONAL = {"pd": ("pandas", "pandas", "pandas"), "plt": ("matplotlib.pyplot", "matplotlib", "plot")}


def optional(name: str) -> Any:
    """Pandas for "pd" and matplotlib.pyplot for "plt", which are the reader's; or what says how to install them."""
    module, library, extra = OPTIONAL[name]
    try:
        return import_module(module)
    except ImportError:
        return Missing(name, library, extra)


class L(list[Any]):
    """A list whose repr begins with its length.

    Parameters:
        items (iterable, default None): The elements; None has none, and a text, a tensor or a number is one element.

    Example:
        >>> from palate.nn.book import L
        >>> L([0, 1, 2])
        (#3) [0, 1, 2]
    """

    def __init__(self, items: Any = None) -> None:
        is_many = isinstance(items, Iterable) and not isinstance(items, str | bytes | Tensor | nn.Module)
        super().__init__(items if is_many else [] if items is None else [items])

    def __getitem__(self, at: Any) -> Any:
        """Return an element, or an L of those at a slice, at a list of places or where a mask is True."""
        if isinstance(at, slice):
            return L(super().__getitem__(at))
        if not isinstance(at, list | tuple | np.ndarray) and not (isinstance(at, Tensor) and at.dim()):
            return super().__getitem__(at)
        places = np.asarray(at)
        chosen = np.flatnonzero(places) if places.dtype == bool else places
        return L([self[int(place)] for place in chosen])

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, list(self)[:SHOWN]))
        return f"(#{len(self)}) [{shown}{'...' if len(self) > SHOWN else ''}]"

    def map(self, f: Callable[..., Any], *args: Any, **options: Any) -> L:
        """Return an L of what a function makes of each element.

        Parameters:
            f (callable): The function.
            *args (Any): Further arguments of it.
            **options (Any): Further arguments by name.

        Returns:
            L: The results.
        """
        return L([f(item, *args, **options) for item in self])

    def itemgot(self, *at: Any) -> L:
        """Return an L of what stands at a place of each element.

        Parameters:
            *at (int or key): The place, and then places within it.

        Returns:
            L: What stands there.
        """
        found: L = self
        for place in at:
            found = L([item[place] for item in found])
        return found

    def attrgot(self, name: str, default: Any = None) -> L:
        """Return an L of an attribute of each element.

        Parameters:
            name (str): The attribute.
            default (Any, default None): What stands for one that is missing.

        Returns:
            L: The attributes.
        """
        return L([getattr(item, name, default) for item in self])


class Module(nn.Module):
    """A torch module whose subclasses need no super().__init__().

    Parameters:
        *args (Any): What __init__ of the subclass takes.
        **options (Any): The same by name.

    Example:
        >>> from palate.nn.book import *
        >>> class Three(Module):
        ...     def __init__(self):
        ...         self.a = nn.Parameter(torch.ones(3))
        >>> len(L(Three().parameters()))
        1
    """

    def __new__(cls, *args: Any, **options: Any) -> Any:  # noqa: ARG004
        """Make an empty module that can take parameters."""
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module

    def __init__(self) -> None:
        """Do nothing: __new__ has run nn.Module.__init__, and running it again would lose parameters."""


def tensor(*values: Any) -> Tensor:
    """Make a tensor.

    Parameters:
        *values (number, list, array or column): Numbers, or one array of numbers of any shape.

    Returns:
        Tensor: The numbers; floats are float32.

    Example:
        >>> from palate.nn.book import tensor
        >>> tensor(1.0, 2.0)
        tensor([1., 2.])
    """
    made = torch.tensor(np.asarray(values[0] if len(values) == 1 else values))
    return made.float() if made.dtype == torch.float64 else made


def to_np(x: Tensor) -> Any:
    """Return a tensor as an array, whatever its device and its gradients.

    Parameters:
        x (Tensor): The tensor.

    Returns:
        numpy.ndarray: Its numbers.

    Example:
        >>> from palate.nn.book import tensor, to_np
        >>> to_np(tensor(1.0, 2.0))
        array([1., 2.], dtype=float32)
    """
    return x.detach().cpu().numpy()


def one_hot(x: int, c: int) -> Tensor:
    """Return a vector of zeros with a one at x.

    Parameters:
        x (int): The position of the one, from 0 to c - 1.
        c (int): The length of the vector.

    Returns:
        Tensor: uint8, (c,).

    Example:
        >>> from palate.nn.book import one_hot
        >>> one_hot(1, 3)
        tensor([0, 1, 0], dtype=torch.uint8)
    """
    return embedding.one_hot(torch.tensor([x]), c)[0].to(torch.uint8)


def first(x: Iterable[Any]) -> Any:
    """Return the first element of anything that can be iterated over, such as dls.train.

    Parameters:
        x (iterable): Where to look.

    Returns:
        Any: The first element; None if there is none.

    Example:
        >>> from palate.nn.book import first
        >>> first({"a": 1})
        'a'
    """
    return next(iter(x), None)


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed the global generators of torch, NumPy and random, from which a model of your own takes its first weights.

    Splits, shuffles and dropout do not depend on them: they follow the seeds of loaders and Learner.

    Parameters:
        s (int): The seed, from 0 to 2**32 - 1.
        reproducible (bool, default False): Does nothing here: a fit is reproducible in any case.

    Raises:
        OptionError: The seed lies outside its range.

    Example:
        >>> from palate.nn.book import set_seed, torch
        >>> set_seed(42)
        >>> first = torch.rand(1)
        >>> set_seed(42)
        >>> bool(torch.rand(1) == first)
        True
    """
    import random

    del reproducible
    check_seed(s, 2**32 - 1)
    random.seed(s)
    np.random.seed(s)  # noqa: NPY002 - the generator that the chapter's np.random.choice takes
    torch.manual_seed(s)


def delegates(to: Any = None, keep: bool = False) -> Callable[[Any], Any]:
    """Make a decorator that shows, in place of **kwargs, the options of the function that they are passed on to.

    Parameters:
        to (callable, default None): The function or class that takes the options; None takes the class above.
        keep (bool, default False): Keep **kwargs in the signature too.

    Returns:
        callable: A decorator for a function or a class; it changes the signature that help() shows, and nothing else.

    Raises:
        OptionError: What is decorated takes no **kwargs.

    Example:
        >>> import inspect
        >>> from palate.nn.book import delegates
        >>> def draw(color="red", width=1): ...
        >>> @delegates(draw)
        ... def draw_all(shapes, **kwargs): ...
        >>> str(inspect.signature(draw_all))
        "(shapes, *, color='red', width=1)"
    """

    def decorate(f: Any) -> Any:
        target = f.__init__ if inspect.isclass(f) else f
        source = to if to is not None else f.__base__
        source = source.__init__ if inspect.isclass(source) else source
        own = dict(inspect.signature(target).parameters)
        rest = next((name for name, p in own.items() if p.kind is p.VAR_KEYWORD), None)
        if rest is None:
            raise OptionError(f"{f.__name__} takes no **kwargs, so there is nothing to delegate.")
        var = own.pop(rest)
        given = inspect.signature(source).parameters.values()
        named = [p for p in given if p.default is not p.empty and p.name not in own]
        added = [p.replace(kind=p.KEYWORD_ONLY) for p in named]
        shown = [*own.values(), *added, *([var] if keep else [])]
        setattr(target, "__signature__", inspect.signature(target).replace(parameters=shown))  # noqa: B010
        return f

    return decorate


def listed(things: Any, is_one: Callable[[Any], bool]) -> list[Any]:
    """None, one thing or several of them as a list."""
    if things is None:
        return []
    is_one_thing = is_one(things) or isinstance(things, str) or not isinstance(things, Iterable)
    return [things] if is_one_thing else list(things)


def check_rows(max_n: Any) -> None:
    """Raise OptionError unless max_n, a number of rows to show, is 1 or more."""
    check_whole(1, max_n=max_n)


def smoothed(values: Sequence[float], weight: float = 0.98) -> Iterator[float]:
    """The exponential running mean of values, corrected for its start at 0."""
    mean = 0.0
    for number, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        yield mean / (1 - weight**number)
