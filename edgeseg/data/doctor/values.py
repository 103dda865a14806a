"""Labels that do not mean what the class table says: unknown ones, other orders, other codes for ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np

from edgeseg.data.base import IGNORE, Rgb
from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.look import Look
from edgeseg.data.doctor.maskfacts import StoredFacts
from edgeseg.data.doctor.seen import Seen, plural
from edgeseg_runtime.contract import Label

_SHOWN = 5
_LUMA_SLACK = 1  # grey levels by which programs round a colour's brightness differently


def unknown(seen: Seen) -> Iterator[Finding]:
    """Find masks with labels outside the class table, and say what they look like they should be."""
    causes: dict[tuple[str, str], list[int]] = {}
    for position, look in enumerate(seen.looks):
        if look.fault == "values" and not _lossy(look):
            causes.setdefault((look.item.split, _cause(seen, look)), []).append(position)
    for (split, check), positions in causes.items():
        files = tuple(seen.mask_path(k) for k in positions)
        stored = [facts for k in positions if (facts := _stored(seen.looks[k])) is not None]
        text = f"{plural(len(positions), 'mask')}; unknown: {_labels(stored)}"
        yield Finding(check, text, split, files, tuple(positions), numbers={"masks": len(positions)})


def _cause(seen: Seen, look: Look) -> str:
    """Return the name of the check that explains a mask's unknown labels."""
    stored = _stored(look)
    if stored is None:
        return "mask-values"
    numbers = set(stored.outside) if stored.used else set()
    if numbers == {254}:
        return "mask-254"
    if numbers == {_next_number(seen)} and (0 in stored.used or _never_0(seen)):
        return "mask-count-from-1"
    if stored.reversed_fits:
        return "mask-colours-reversed"
    if numbers and _are_luma(stored, seen.labels):
        return "mask-colours-grey"
    return "mask-blurred" if stored.strewn else "mask-values"


def _next_number(seen: Seen) -> int:
    """Return the number after the largest that any mask uses for a class of the table."""
    known = [
        number
        for look in seen.looks
        if (stored := _stored(look)) is not None
        for number, value in stored.used.items()
        if value < len(seen.labels)
    ]
    # Where the last classes are rare, the table may end after the largest number that is used.
    return max([*known, len(seen.labels) - 1]) + 1


def _never_0(seen: Seen) -> bool:
    """Whether no mask of the set uses the number 0, which is the first class."""
    return not any(0 in stored.used for look in seen.looks if (stored := _stored(look)) is not None)


def _are_luma(stored: StoredFacts, labels: tuple[Label, ...]) -> bool:
    """Whether every number in a mask is the brightness of a class colour (or of black, often void)."""
    colors = np.array([[(0, 0, 0), *(label.color for label in labels)]], np.uint8)
    luma = cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY).astype(int).ravel()
    if len(set(luma.tolist())) < 3 or len(stored.used) < 2:
        return False
    return all(int(np.abs(luma - number).min()) <= _LUMA_SLACK for number in stored.used)


def _labels(stored: list[StoredFacts]) -> str:
    """Name the unknown labels of several masks, most frequent first."""
    pixels: Counter[str] = Counter()
    for facts in stored:
        for label, count in facts.outside.items():
            pixels[facts.outside_names[label]] += count
    shown = ", ".join(f"{name} ({count} px)" for name, count in pixels.most_common(_SHOWN))
    return shown + (f" and {len(pixels) - _SHOWN} more" if len(pixels) > _SHOWN else "")


def lossy(seen: Seen) -> Iterator[Finding]:
    """Find masks that are JPEGs inside, whatever their name says."""
    for split in seen.splits:
        positions = [k for k, look in enumerate(seen.looks) if look.item.split == split and _lossy(look)]
        if positions:
            kinds = Counter(encoding.kind for k in positions if (encoding := seen.looks[k].mask_encoding) is not None)
            text = " and ".join(f"{plural(count, 'mask')} stored as {kind.upper()}" for kind, count in kinds.items())
            files = tuple(seen.mask_path(k) for k in positions)
            yield Finding("mask-lossy", text, split, files, tuple(positions), numbers={"masks": len(positions)})


def only_0_and_255(seen: Seen) -> Iterator[Finding]:
    """Find a set whose masks hold 0 and 255 alone, 255 being read as ignored though the table has more classes."""
    stored = [facts for look in seen.looks if (facts := _stored(look)) is not None and facts.used]
    used = {number: value for facts in stored for number, value in facts.used.items()}
    if set(used) == {0, IGNORE} and used[IGNORE] == IGNORE and used[0] != IGNORE and len(seen.labels) > 1:
        holding = [k for k, look in enumerate(seen.looks) if (f := _stored(look)) is not None and IGNORE in f.used]
        text = f"{len(holding)} of {plural(len(stored), 'mask')} hold 255, none a number from 1 to 254"
        files = tuple(seen.mask_path(k) for k in holding)
        yield Finding("mask-binary-255", text, None, files, tuple(holding), numbers={"masks": len(holding)})


def palettes(seen: Seen) -> Iterator[Finding]:
    """Find palettes whose colours are those of other classes, or of none."""
    by_color = {label.color: index for index, label in enumerate(seen.labels)}
    found: dict[tuple[str, str], list[int]] = {}
    examples: dict[str, str] = {}
    for position, look in enumerate(seen.looks):
        stored = _stored(look)
        if stored is None or look.problem is not None:
            continue
        for number, color in stored.palette:
            drawn, meant = by_color.get(color), stored.used.get(number)
            if meant is None or meant == drawn or meant >= len(seen.labels):
                continue
            check = "palette-other" if drawn is None else "palette-permuted"
            positions = found.setdefault((look.item.split, check), [])
            if positions[-1:] != [position]:
                positions.append(position)
            examples.setdefault(check, _clash(seen.labels, number, color, meant, drawn))
    for (split, check), positions in found.items():
        text = f"{plural(len(positions), 'mask')}; for example {examples[check]}"
        files = tuple(seen.mask_path(k) for k in positions)
        yield Finding(check, text, split, files, tuple(positions), numbers={"masks": len(positions)})


def _clash(labels: tuple[Label, ...], number: int, color: Rgb, meant: int, drawn: int | None) -> str:
    of_whom = f"that of {labels[drawn].name}" if drawn is not None else f"not {labels[meant].color}"
    return f"number {number}, which is {labels[meant].name}, is drawn in {color}, {of_whom}"


def _stored(look: Look) -> StoredFacts | None:
    return look.mask.stored if look.mask is not None else None


def _lossy(look: Look) -> bool:
    return look.mask_encoding is not None and look.mask_encoding.lossy
