"""The array types of the kernels: what comes in, and the float64 that the reference implementations return."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Codes = NDArray[np.int32]
Pointers = NDArray[np.int64]  # where the entries of each row begin
Steps = NDArray[np.uint8] | NDArray[np.int32]
Mask = NDArray[np.bool_] | NDArray[np.uint8]
Words = NDArray[np.uint64]  # random words of 32 bits, in 64 so that a product of two fits
