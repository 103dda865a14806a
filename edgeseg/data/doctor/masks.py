"""Masks that say nothing, are noisy or blurred."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.look import Look
from edgeseg.data.doctor.maskfacts import MaskFacts
from edgeseg.data.doctor.seen import Seen, plural

MIN_CROSSINGS, BETWEEN, SHARP = 50, 0.35, 0.5
"""A mask is blurred from this share of edges with labels between, with fewer sharp ones. Measured: up to 0.3 in sharp
masks of 48×64, 0.04 in CamVid's; 0.39 and more once resized with interpolation or saved as JPEG."""
MIN_SPECKS, SPECKS = 20, 0.05
"""Single pixels, and their share of the border; up to 0.03 in CamVid's hand-painted masks."""


def empty(seen: Seen) -> Iterator[Finding]:
    """Find masks that are ignored throughout, or hold one class."""
    for split, positions in seen.good.items():
        present = seen.pixels[split] > 0
        ignored = ~present[:, :IGNORE].any(1)
        one = ~ignored & (present[:, :IGNORE].sum(1) == 1)
        for check, chosen in (("mask-all-ignored", ignored), ("mask-one-class", one)):
            found = [positions[int(k)] for k in np.flatnonzero(chosen)]
            if found and len(seen.labels) > 1:
                files = tuple(seen.mask_path(k) for k in found)
                text = f"{len(found)} of {plural(len(positions), 'mask')}"
                if check == "mask-one-class":
                    classes = np.unique(present[one][:, :IGNORE].argmax(1))
                    text += f", with nothing but {' or '.join(seen.labels[int(k)].name for k in classes)}"
                yield Finding(check, text, split, files, tuple(found), numbers={"masks": len(found)})


def is_blurred(facts: MaskFacts) -> bool:
    """Whether most of a mask's edges have labels between the two numbers that meet."""
    edges = None if facts.stored is None else facts.stored.edges
    if edges is None:
        return False
    total = edges.sharp + edges.between + edges.other
    return total >= MIN_CROSSINGS and edges.between >= BETWEEN * total and edges.sharp <= SHARP * total


def is_specked(facts: MaskFacts) -> bool:
    """Whether a mask has many single pixels for the length of its edges."""
    return facts.specks >= MIN_SPECKS and facts.specks >= SPECKS * facts.border and not is_blurred(facts)


def noisy(seen: Seen) -> Iterator[Finding]:
    """Find masks whose labels are all known, but blurred or strewn with specks."""
    kinds: tuple[tuple[str, Callable[[MaskFacts], bool]], ...] = (
        ("mask-blurred", is_blurred),
        ("mask-specks", is_specked),
    )
    for split, positions in seen.good.items():
        for check, fits in kinds:
            found = [k for k in positions if (facts := _plain(seen.looks[k])) is not None and fits(facts)]
            if found:
                files = tuple(seen.mask_path(k) for k in found)
                text = f"{len(found)} of {plural(len(positions), 'mask')}"
                if check == "mask-specks":
                    text += f", with {max(m.specks for k in found if (m := seen.looks[k].mask))} single pixels at most"
                yield Finding(check, text, split, files, tuple(found), numbers={"masks": len(found)})


def _plain(look: Look) -> MaskFacts | None:
    """Return the facts of a mask that is not a JPEG inside, of which another check tells."""
    return None if look.mask_encoding is not None and look.mask_encoding.lossy else look.mask
