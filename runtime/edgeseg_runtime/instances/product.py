"""Products of small matrices, computed on the thread that asks for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

MATRICES, _VECTORS = 4 * 65536, 4 * 2304
"""Multiplications up to which OpenBLAS, which numpy brings, keeps a product on the calling thread: of two matrices,
and where one of them is a vector (GEMM_MULTITHREAD_THRESHOLD times what `interface/gemm.c` and `gemv.c` name)."""


def product(left: Matrix, right: Matrix, result: Matrix) -> Matrix:
    """Fill `result` with left @ right, in strips so small that no other threads are called in, and return it.

    The cores already have their work, a frame each: more threads wait for one another, and a product of 10 µs was seen
    to take milliseconds.
    """
    rows, columns = result.shape
    if not result.size:
        return result
    largest = _VECTORS if min(rows, columns) == 1 else MATRICES
    strip = max(1, largest // (left.shape[1] * min(rows, columns)))
    if strip >= max(rows, columns):
        return np.matmul(left, right, out=result)
    for start in range(0, max(rows, columns), strip):
        part = slice(start, start + strip)
        if rows >= columns:
            np.matmul(left[part], right, out=result[part])
        else:
            np.matmul(left, right[:, part], out=result[:, part])
    return result
