"""Who belongs to whom: pairs of two sets with the largest total weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]
"""float64 (rows, columns), 0 where the two cannot be a pair, above 0 elsewhere."""


_ROUNDING = 1e-9
"""What a sum of weights may be off by."""

Weigh = Callable[[int, int], float]
"""Tells what the pair of a row and a column weighs: 0 if the two cannot be one."""


def pairs(weights: Weights) -> list[tuple[int, int]]:
    """Return the (row, column) pairs of the largest total weight, each row and column in one at most, rows rising.

    Exact: the Hungarian method with potentials and shortest augmenting paths (Jonker and Volgenant, 1987), one search
    for each group that possible pairs tie together. Objects far apart are in different groups, so groups are small.
    """
    possible = weights > 0
    alone = possible & (possible.sum(axis=1) == 1)[:, None] & (possible.sum(axis=0) == 1)
    found = [(row, column) for row, column in np.argwhere(alone).tolist()]
    for rows, columns in _groups(possible & ~alone):
        inside = _best(weights[np.ix_(rows, columns)])
        found += [(int(rows[row]), int(columns[column])) for row, column in inside]
    return sorted(found)


def weighed(most: Weights, roughly: Weights, weigh: Weigh) -> Weights:
    """Return weights whose best pairs are those of the true ones, with few pairs weighed.

    `most` is what a pair weighs at most, 0 where it cannot be one. Those that are each other's best in `roughly` are
    weighed first, and each row and column is priced at half of what its pair weighs. No assignment can be heavier than
    the sum of all prices, which these pairs weigh together, but by pairs above their prices: so these are weighed, too.
    By what they then still are above, added up over the rows, another pair may be below its prices in a best assignment
    (reduced-cost fixing, as for linear programs). All below that are 0 in what is returned, all others are weighed.
    """
    weights = most.copy()
    known = np.zeros(most.shape, np.bool_)

    def weigh_all(where: npt.NDArray[np.bool_]) -> None:
        for row, column in np.argwhere(where & ~known & (weights > 0)).tolist():
            weights[row, column] = weigh(row, column)
        known[where] = True

    if not most.size:
        return weights
    rows, best = np.arange(len(most)), roughly.argmax(axis=1)
    first = np.zeros(most.shape, np.bool_)
    first[rows, best] = roughly.argmax(axis=0)[best] == rows  # no two in a row or column, equals or not
    first &= most > 0
    weigh_all(first)
    half = np.where(first, weights, 0) / 2
    above = weights - half.max(axis=1)[:, None] - half.max(axis=0)
    weigh_all(above > 0)
    above = weights - half.max(axis=1)[:, None] - half.max(axis=0)
    weights[above < -_ROUNDING - np.maximum(above, 0).max(axis=1).sum()] = 0
    weigh_all(weights > 0)
    return weights


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


def _best(weights: Weights) -> list[tuple[int, int]]:
    """Return the pairs of the largest total weight, of those above 0."""
    if 1 in weights.shape:
        best = int(np.argmax(weights))
        found = [(best // weights.shape[1], best % weights.shape[1])]
    elif weights.shape[0] <= weights.shape[1]:
        found = _solved(weights)
    else:
        found = [(column, row) for row, column in _solved(weights.T)]
    return [pair for pair in found if weights[pair] > 0]


def _solved(weights: Weights) -> list[tuple[int, int]]:
    """Return a column for every row, the sum of weights being the largest; there are no more rows than columns.

    Each row begins with its heaviest column if no row before it took that; only the others search.
    """
    height, width = weights.shape
    cost = weights.max() - weights
    row_price, column_price = cost.min(axis=1), np.zeros(width + 1)
    taken = np.full(width + 1, -1, np.intp)  # the row of each column; the last is where searches begin
    columns, rows = np.unique(cost.argmin(axis=1), return_index=True)
    taken[columns] = rows
    for row in np.setdiff1d(np.arange(height), rows, assume_unique=True):
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
