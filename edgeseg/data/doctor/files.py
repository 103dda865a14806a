"""Files that cannot be used, and pictures that are stored in unusual ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.look import Look
from edgeseg.data.doctor.seen import Seen, plural
from edgeseg.data.encoding import Encoding
from edgeseg.data.files import LOSSY_MASK
from edgeseg.data.jpeg_damage import can_look_for_damage

_FAULTS = {"file": "unusable-file", "size": "size-mismatch", "turned": "exif-orientation"}
_SHOWN_SIZES = 4


def unusable(seen: Seen) -> Iterator[Finding]:
    """Find files without partner or that cannot be read, and masks of another size than their picture."""
    for split, problems in seen.collection.problems.items():
        for problem in problems:
            check = "mask-lossy" if problem.reason == LOSSY_MASK else "unusable-file"
            yield Finding(check, problem.reason, split, (str(problem.path),))
    for position, look in enumerate(seen.looks):
        if look.problem is not None and look.fault in _FAULTS:
            path = str(look.problem.path)
            pictures = (position,) if look.fault != "file" else ()
            yield Finding(_FAULTS[look.fault], look.problem.reason, look.item.split, (path,), pictures)


def damaged(seen: Seen) -> Iterator[Finding]:
    """Find JPEGs whose decoder lost its way, or say that nobody could look."""
    jpegs = [
        (position, look)
        for position, look in enumerate(seen.looks)
        if look.encoding is not None and look.encoding.kind == "jpeg"
    ]
    if jpegs and not can_look_for_damage():
        yield Finding("damage-unknown", f"{plural(len(jpegs), 'JPEG')} not looked into")
        return
    for split in seen.splits:
        hurt = [(position, look) for position, look in jpegs if look.item.split == split and look.damage is not None]
        if hurt:
            files = tuple(look.item.where for _, look in hurt)
            message = f"{plural(len(hurt), 'picture')}; of {files[0]}: {hurt[0][1].damage}"
            positions = tuple(position for position, _ in hurt)
            yield Finding("picture-damaged", message, split, files, positions, numbers={"pictures": len(hurt)})


def sizes(seen: Seen) -> Iterator[Finding]:
    """Find out whether pictures have several sizes."""
    found = Counter(look.size for look in seen.looks if look.size is not None)
    if len(found) < 2:
        return
    shapes = sorted(width / height for height, width in found)
    common = ", ".join(f"{w}×{h} ({count})" for (h, w), count in found.most_common(_SHOWN_SIZES))
    more = f" and {len(found) - _SHOWN_SIZES} more" if len(found) > _SHOWN_SIZES else ""
    yield Finding(
        "sizes-mixed",
        f"{len(found)} sizes: {common}{more}; width / height from {shapes[0]:.2f} to {shapes[-1]:.2f}",
        numbers={"sizes": len(found), "smallest_aspect": round(shapes[0], 4), "largest_aspect": round(shapes[-1], 4)},
    )


def modes(seen: Seen) -> Iterator[Finding]:
    """Find pictures that are grey among coloured ones, transparent, deep, in printer's colours, or tagged as turned."""
    stored = [(position, look) for position, look in enumerate(seen.looks) if look.encoding is not None]
    grey = sum(_is(look, lambda encoding: encoding.mode == "grey") for _, look in stored)
    wanted: dict[str, Callable[[Encoding], bool]] = {
        "picture-alpha": lambda encoding: encoding.mode == "alpha",
        "picture-16bit": lambda encoding: encoding.bits > 8,
        "picture-cmyk": lambda encoding: encoding.mode == "cmyk",
        "exif-tagged": lambda encoding: encoding.orientation != 1,
    }
    if grey != len(stored):
        wanted["picture-grey"] = lambda encoding: encoding.mode == "grey"
    for check, fits in wanted.items():
        for split in seen.splits:
            positions = [k for k, look in stored if look.item.split == split and _is(look, fits)]
            if positions:
                total = sum(look.item.split == split for _, look in stored)
                files = tuple(seen.looks[k].item.where for k in positions)
                message = f"{len(positions)} of {plural(total, 'picture')}"
                yield Finding(check, message, split, files, tuple(positions), numbers={"pictures": len(positions)})


def _is(look: Look, fits: Callable[[Encoding], bool]) -> bool:
    return look.encoding is not None and fits(look.encoding)
