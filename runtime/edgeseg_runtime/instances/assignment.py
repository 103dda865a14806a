"""Who belongs to whom: pairs of two sets with the largest total weight."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]
"""float64 (rows, columns), 0 where the two cannot be a pair, above 0 elsewhere."""


def pairs(weights: Weights) -> list[tuple[int, int]]:
    """Return the (row, column) pairs of the largest total weight, each row and column in one at most, rows rising.

    Exact: the Hungarian method with potentials and shortest augmenting paths (Jonker and Volgenant, 1987), one search
    for each group that possible pairs tie together. Objects far apart are in different groups, so groups are small.
    """
    found: list[tuple[int, int]] = []
    for rows, columns in _groups(weights > 0):
        if len(rows) == 1 or len(columns) == 1:
            best = int(np.argmax(weights[np.ix_(rows, columns)]))
            found.append((int(rows[best // len(columns)]), int(columns[best % len(columns)])))
            continue
        inside = weights[np.ix_(rows, columns)]
        for row, column in _solved(inside) if len(rows) <= len(columns) else _turned(_solved(inside.T)):
            if inside[row, column] > 0:
                found.append((int(rows[row]), int(columns[column])))
    return sorted(found)


def _groups(possible: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield rows and columns that possible pairs tie together."""
    left = set(np.flatnonzero(possible.any(axis=1)).tolist())
    while left:
        rows = np.array([min(left)], np.intp)
        while True:
            columns = np.flatnonzero(possible[rows].any(axis=0))
            more = np.flatnonzero(possible[:, columns].any(axis=1))
            if len(more) == len(rows):
                break
            rows = more
        yield rows, columns
        left.difference_update(rows.tolist())


def _turned(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(column, row) for row, column in found]


def _solved(weights: Weights) -> list[tuple[int, int]]:
    """Return a column for every row, the sum of weights being the largest; there are no more rows than columns."""
    height, width = weights.shape
    cost = weights.max() - weights
    row_price, column_price = np.zeros(height), np.zeros(width + 1)
    taken = np.full(width + 1, -1, np.intp)  # the row of each column; the last is where searches begin
    for row in range(height):
        taken[width] = row
        column = width
        least = np.full(width, np.inf)
        before = np.zeros(width, np.intp)
        seen = np.zeros(width + 1, np.bool_)
        while taken[column] >= 0:
            seen[column] = True
            here = taken[column]
            slack = cost[here] - row_price[here] - column_price[:width]
            nearer = ~seen[:width] & (slack < least)
            least[nearer], before[nearer] = slack[nearer], column
            following = int(np.argmin(np.where(seen[:width], np.inf, least)))
            step = least[following]
            row_price[taken[seen]] += step
            column_price[seen] -= step
            least[~seen[:width]] -= step
            column = following
        while column != width:
            taken[column] = taken[before[column]]
            column = int(before[column])
    return [(int(row), column) for column, row in enumerate(taken[:width]) if row >= 0]
