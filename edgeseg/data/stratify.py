"""Divide groups so that every class is spread over the parts as wished.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML 2011),
with amounts (pixels of each class) in place of labels and whole groups in place of examples, followed by moves and
exchanges of groups for as long as they bring the shares nearer to the wished ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.intp]

_SWEEPS, _MIN_GAIN = 20, 1e-9
_FEW, _RESTARTS = 60, 12
_EXCHANGED = 400  # groups among which all exchanges are tried


def stratify(amounts: Floats, sizes: npt.ArrayLike, shares: Sequence[float], seed: int = 0) -> Parts:
    """Return the part, 0..len(shares)-1, of each group. The same arguments give the same answer.

    `amounts` is groups × classes, `sizes` the pictures of each group. No part is left without a group. Raises
    ValueError when there are fewer groups than parts.
    """
    features = _features(np.asarray(amounts, np.float64), np.asarray(sizes, np.float64))
    if len(features) < len(shares):
        raise ValueError(f"{len(features)} groups cannot fill {len(shares)} parts")
    wished = np.asarray(shares, np.float64) / sum(shares)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(features))
    mixed = features[order]
    starts = [_greedy(mixed, wished)]
    if len(features) <= _FEW:  # large groups leave no slack: other beginnings may end better
        starts += [rng.choice(len(wished), len(features), p=wished) for _ in range(_RESTARTS)]
    ends = [_improve(mixed, wished, _fill(start, len(wished))) for start in starts]
    parts = np.empty(len(features), np.intp)
    parts[order] = min(ends, key=lambda end: distance(mixed, wished, end))
    return parts


def distance(features: Floats, wished: Floats, parts: Parts) -> float:
    """Return how far the shares are from the wished ones: the sum of squares, each by its wish."""
    target = wished[:, None] * features.sum(0)
    return float((((_held(features, parts, len(wished)) - target) ** 2) / wished[:, None]).sum())


def _features(amounts: Floats, sizes: Floats) -> Floats:
    """Return each class's amounts as shares of it, and the pictures, which count as much as all classes together."""
    present = amounts[:, amounts.sum(0) > 0]
    classes = present / present.sum(0)
    pictures = (sizes / sizes.sum())[:, None] * max(1.0, classes.shape[1]) ** 0.5
    return np.hstack([classes, pictures])


def _greedy(features: Floats, wished: Floats) -> Parts:
    """Give out the class that fewest remaining groups hold first, largest amounts first, to whom wants it most."""
    wanted = wished[:, None] * features.sum(0)
    parts = np.full(len(features), -1, np.intp)
    while (parts < 0).any():
        open_groups = np.flatnonzero(parts < 0)
        holders = (features[open_groups] > 0).sum(0)
        rarest = int(np.argmin(np.where(holders > 0, holders, len(features) + 1)))
        having = open_groups[features[open_groups, rarest] > 0]
        for group in having[np.argsort(-features[having, rarest], kind="stable")]:
            # equal wishes for the class are decided by the wish for pictures, the last feature
            wish = wanted[:, rarest] / wished
            best = np.flatnonzero(wish >= wish.max() - 1e-12)
            part = best[int(np.argmax(wanted[best, -1] / wished[best]))]
            parts[group] = part
            wanted[part] -= features[group]
    return parts


def _fill(parts: Parts, count: int) -> Parts:
    """Give every empty part a group of the fullest one."""
    for part in range(count):
        if not (parts == part).any():
            parts[np.flatnonzero(parts == np.bincount(parts, minlength=count).argmax())[-1]] = part
    return parts


def _improve(features: Floats, wished: Floats, parts: Parts) -> Parts:
    held = _held(features, parts, len(wished))
    target = wished[:, None] * features.sum(0)
    for _ in range(_SWEEPS):
        moved = _move_groups(features, wished, target, parts, held)
        if not (_exchange_groups(features, wished, target, parts, held) or moved):
            break
    return parts


def _move_groups(features: Floats, wished: Floats, target: Floats, parts: Parts, held: Floats) -> bool:
    """Move each group to the part where it helps most; return whether one was moved."""
    moved = False
    counts = np.bincount(parts, minlength=len(wished))
    for group, amount in enumerate(features):
        own = parts[group]
        if counts[own] == 1:
            continue
        rest = held[own] - amount
        gain = _gain(held, held + amount, target, wished)
        gain += _gain(held[own], rest, target[own], wished[own])
        gain[own] = 0
        best = int(gain.argmax())
        if gain[best] > _MIN_GAIN:
            held[own], held[best] = rest, held[best] + amount
            counts[own], counts[best] = counts[own] - 1, counts[best] + 1
            parts[group], moved = best, True
    return moved


def _exchange_groups(features: Floats, wished: Floats, target: Floats, parts: Parts, held: Floats) -> bool:
    """Exchange two groups of different parts where that helps, among the largest; return whether any were."""
    largest = np.argsort(-features[:, -1], kind="stable")[:_EXCHANGED]
    done = False
    for group in largest:
        own = parts[group]
        others = largest[parts[largest] != own]
        if not len(others):
            continue
        change, theirs = features[others] - features[group], parts[others]
        gain = _gain(held[own], held[own] + change, target[own], wished[own])
        gain += _gain(held[theirs], held[theirs] - change, target[theirs], wished[theirs])
        best = int(gain.argmax())
        if gain[best] > _MIN_GAIN:
            held[own] += change[best]
            held[theirs[best]] -= change[best]
            parts[group], parts[others[best]] = theirs[best], own
            done = True
    return done


def _gain(before: Floats, after: Floats, target: Floats, wished: npt.ArrayLike) -> Floats:
    """Return how much nearer to its target a part comes with `after` than with `before`, in the terms of `distance`."""
    near: Floats = ((before - target) ** 2 - (after - target) ** 2).sum(-1) / np.asarray(wished)
    return near


def _held(features: Floats, parts: Parts, count: int) -> Floats:
    held = np.zeros((count, features.shape[1]))
    np.add.at(held, parts, features)
    return held
