"""How the classes are spread over pixels, pictures and splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.findings import Finding, Number
from edgeseg.data.doctor.seen import Seen, plural

TRAIN = ("train", "trainval")
"""What the split to learn from is called; the first that is there counts."""
RARE_SHARE, RARE_PICTURES = 0.001, 0.01
"""Shares of a split's labelled pixels and of its pictures below which a class is rare."""
_SCORED = ("val", "test")


@dataclass(frozen=True)
class ClassRow:
    """A class in a split."""

    name: str
    split: str
    pixels: int
    share: float
    """Of the split's pixels that have a class."""
    pictures: int


def class_rows(seen: Seen) -> list[ClassRow]:
    """Return every class in every split."""
    rows = []
    for split, counts in seen.pixels.items():
        labelled = counts[:, : len(seen.labels)]
        pixels, pictures, total = labelled.sum(0), (labelled > 0).sum(0), max(1, int(labelled.sum()))
        for index, label in enumerate(seen.labels):
            count = int(pixels[index])
            rows.append(ClassRow(label.name, split, count, count / total, int(pictures[index])))
    return rows


def ignored_share(seen: Seen, split: str) -> float:
    """Return which share of a split's pixels is ignored."""
    counts = seen.pixels[split]
    return float(counts[:, IGNORE].sum() / max(1, counts.sum()))


def balance(seen: Seen) -> Iterator[Finding]:
    """Find classes that are nowhere, not in train, or rare."""
    by_class: dict[str, dict[str, ClassRow]] = {}
    for row in class_rows(seen):
        by_class.setdefault(row.name, {})[row.split] = row
    if not any(row.pixels for rows in by_class.values() for row in rows.values()):
        return  # no mask could be read: other checks say so
    having = {name: [split for split, row in rows.items() if row.pixels] for name, rows in by_class.items()}
    if absent := [name for name, found in having.items() if not found]:
        text = f"no mask has a pixel of {', '.join(absent)}"
        yield Finding("class-absent", text, numbers={"classes": absent})
    train = next((split for split in TRAIN if seen.good.get(split)), None)
    unscored = [name for name, found in having.items() if found == [train]]
    if unscored and any(seen.good.get(split) for split in _SCORED):
        text = f"only {train} has a pixel of {', '.join(unscored)}"
        yield Finding("class-not-scored", text, numbers={"classes": unscored})
    for name, found in having.items():
        if found:
            yield from _by_split(seen, name, by_class[name], found, train)


def _by_split(
    seen: Seen, name: str, rows: dict[str, ClassRow], having: list[str], train: str | None
) -> Iterator[Finding]:
    if train is not None and train not in having:
        where = ", ".join(f"{plural(rows[split].pictures, 'picture')} of {split}" for split in having)
        text = f"{name} is on {where}, on none of {train}"
        shown = _holding(seen, having[0], name)
        yield Finding("class-not-in-train", text, pictures=shown, numbers={"class": name})
    main = train if train in having else having[0]
    row, total = rows[main], len(seen.good[main])
    if row.share < RARE_SHARE or row.pictures < RARE_PICTURES * total:
        text = f"{name}: {100 * row.share:.3g} % of the pixels, on {row.pictures} of {plural(total, 'picture')}"
        shown = _holding(seen, main, name)
        numbers: dict[str, Number] = {"class": name, "share": row.share, "pictures": row.pictures}
        yield Finding("class-rare", text, main, pictures=shown, numbers=numbers)


def _holding(seen: Seen, split: str, name: str) -> tuple[int, ...]:
    """Return the pictures of a split with most pixels of a class."""
    index = [label.name for label in seen.labels].index(name)
    pixels = seen.pixels[split][:, index]
    best = [int(k) for k in (-pixels).argsort(kind="stable")[:3] if pixels[k]]
    return tuple(seen.good[split][k] for k in best)
