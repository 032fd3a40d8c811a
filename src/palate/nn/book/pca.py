"""Principal components of a tensor, and tensors that have them as a method without any change to torch's classes.

The chapter calls `movie_w.pca(3)` on rows of trained weights. fast.ai adds the method to torch.Tensor.
Here two subclasses have it: Weights, which a Learner makes of its model's parameters when a fit has
ended, and Rows, what indexing, detach() and the like make of Weights. Everything else that is computed with them gives
plain tensors, and within a fit the parameters are plain ones, since a subclass would slow every operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import OptionError
from palate.options import check_whole

KEEPING = frozenset(
    {Tensor.__getitem__, Tensor.cpu, Tensor.detach, Tensor.to, Tensor.clone, Tensor.float, Tensor.double}
)


def pca(x: Tensor, k: int = 2) -> Tensor:
    """Project the rows of a matrix on their first principal components.

    Parameters:
        x (Tensor): The matrix, (n, m).
        k (int, default 2): Components, from 1 to m.

    Returns:
        Tensor: Coordinates of the rows, (n, k), the component of the largest variance first.

    Raises:
        OptionError: x is no matrix, or k lies outside its range.

    Example:
        >>> from palate.nn.book import pca, tensor
        >>> pca(tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), 1).abs().round()
        tensor([[1.],
                [0.],
                [1.]])
    """
    if x.dim() != 2:
        raise OptionError(f"pca takes a matrix, (n, m), not a tensor of shape {tuple(x.shape)}.")
    check_whole(1, x.shape[1], k=k)
    plain = x.as_subclass(Tensor)
    centered = plain - plain.mean(0)
    components: Tensor = torch.linalg.svd(centered, full_matrices=False).Vh[:k]
    return centered @ components.T


class WithPca:
    """What Rows and Weights share: pca(), and which operations keep it."""

    def pca(self, k: int = 2) -> Tensor:
        """Project the rows on their first principal components; see pca.

        Parameters:
            k (int, default 2): Components.

        Returns:
            Tensor: Coordinates of the rows, (n, k).
        """
        rows: Any = self
        return pca(rows, k)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            made = func(*args, **(kwargs or {}))
        return made.as_subclass(Rows) if func in KEEPING else made

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be saved by torch.save as a plain tensor or parameter, so that any program can load it."""
        plain: Any = _plain(self)
        return plain.__reduce_ex__(protocol)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        del tensor_contents
        return repr(_plain(self))


class Rows(WithPca, Tensor):  # type: ignore[misc]
    """A tensor with pca(), made of Weights."""

    def __deepcopy__(self, memo: Any) -> Tensor:
        """Copy it as a plain tensor: the copy of a state_dict has no pca()."""
        return deepcopy(_plain(self), memo)


class Weights(WithPca, nn.Parameter):  # type: ignore[misc]
    """A parameter with pca()."""


def _plain(tensor: Any) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.data.as_subclass(Tensor), tensor.requires_grad)
    return tensor.as_subclass(Tensor)  # type: ignore[no-any-return]


@contextmanager
def plain_inside(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Inside, the parameters are torch's own; afterwards they have pca()."""
    ours = [parameter for parameter in parameters if type(parameter) in (nn.Parameter, Weights)]
    for parameter in ours:
        parameter.__class__ = nn.Parameter
    try:
        yield
    finally:
        for parameter in ours:
            parameter.__class__ = Weights
