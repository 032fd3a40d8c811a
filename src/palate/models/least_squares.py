"""Least squares on a table of many rows, by the normal equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.models.row_blocks import row_blocks

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NO_LENGTH = 1e-15  # of the longest column: what rounding leaves of zero


@dataclass(frozen=True)
class LeastSquares:
    """Least squares by the normal equations: targets T -> the x that minimize |Z x - T|^2, column by column.

    The Gram matrix is summed up in double, block by block, so that many rows need little memory. Its columns are scaled
    to length 1 before it is inverted; what is left singular is left out, as in a pseudo-inverse. So is a column that
    is zero but for rounding beside the longest: its solutions would be huge.

    Attributes:
        Z (float32 array of shape (n, k)): The matrix.
        inverse (float64 array of shape (k, k)): The pseudo-inverse of Z' Z.
    """

    Z: Floats
    inverse: Doubles

    @classmethod
    def on(cls, Z: Floats) -> LeastSquares:
        """Prepare for a matrix Z."""
        gram = _cross_products(Z, Z)
        lengths = np.sqrt(np.diag(gram))
        lengths[lengths <= NO_LENGTH * lengths.max(initial=0)] = np.inf
        scales = np.outer(lengths, lengths)
        return cls(Z, np.linalg.pinv(gram / scales, rcond=1e-12, hermitian=True) / scales)

    def __call__(self, targets: NDArray[Any]) -> Doubles:
        """The solutions, (k, m) for targets (n, m), or (k,) for (n,)."""
        solutions: Doubles = self.inverse @ _cross_products(self.Z, targets)
        return solutions


def _cross_products(x: NDArray[Any], y: NDArray[Any]) -> Doubles:
    """The products of the columns of x (n, k) with those of y, (k, m), in double precision, block by block."""
    parts = [x[rows].T.astype(np.float64) @ y[rows].astype(np.float64) for rows in row_blocks(len(x))]
    total: Doubles = np.sum(parts, axis=0)
    return total
