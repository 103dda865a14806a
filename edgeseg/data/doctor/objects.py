"""Objects that were labelled twice, hardly, or otherwise than they seem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.objectfacts import ObjectFacts
from edgeseg.data.doctor.seen import Seen, plural

_ODD: dict[str, tuple[Callable[[ObjectFacts], int], str]] = {
    "object-twice": (lambda facts: facts.twice, "pair"),
    "object-box": (lambda facts: facts.misfits, "object"),
    "object-empty": (lambda facts: facts.empty, "object"),
    "object-tiny": (lambda facts: facts.tiny, "object"),
}
"""What is counted for a check, and what that is called."""
_SHOWN = 3
"""Pictures that show a finding."""


def odd(seen: Seen) -> Iterator[Finding]:
    """Find objects that are odd."""
    for split, facts in _facts(seen).items():
        for check, (counted, what) in _ODD.items():
            counts = {position: counted(each) for position, each in facts.items() if counted(each)}
            if counts:
                total = sum(counts.values())
                message = f"{plural(total, what)} on {len(counts)} of {plural(len(facts), 'picture')}"
                worst = sorted(counts, key=counts.__getitem__, reverse=True)[:_SHOWN]
                yield Finding(check, message, split, _files(seen, counts), tuple(worst), numbers={"count": total})


def none(seen: Seen) -> Iterator[Finding]:
    """Find pictures without objects."""
    for split, facts in _facts(seen).items():
        bare = [position for position, each in facts.items() if not each.objects]
        if bare:
            message = f"{len(bare)} of {plural(len(facts), 'picture')}"
            shown = tuple(bare[:_SHOWN])
            yield Finding(
                "picture-without-objects", message, split, _files(seen, bare), shown, numbers={"count": len(bare)}
            )


def boxes(seen: Seen) -> Iterator[Finding]:
    """Find splits whose objects are boxes, not outlines."""
    for split, facts in _facts(seen).items():
        count = sum(each.boxes for each in facts.values())
        if count and not any(each.outlines for each in facts.values()):
            message = f"each of {plural(count, 'object')} fills its box"
            shown = tuple(position for position, each in facts.items() if each.boxes)[:_SHOWN]
            yield Finding("objects-are-boxes", message, split, pictures=shown, numbers={"count": count})


def _facts(seen: Seen) -> dict[str, dict[int, ObjectFacts]]:
    """Return the facts of each picture that can be used, by split."""
    return {
        split: {k: facts for k in positions if (facts := seen.looks[k].objects) is not None}
        for split, positions in seen.good.items()
    }


def _files(seen: Seen, positions: Iterable[int]) -> tuple[str, ...]:
    return tuple(seen.looks[position].item.where for position in positions)
