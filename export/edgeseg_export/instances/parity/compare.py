"""Run two paths over the same pictures and pair their objects."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg_export.instances.parity.average_precision import ClassMatches, InstanceAccuracy, match_truth
from edgeseg_export.instances.parity.comparison import InstanceAccuracyPair, InstanceComparison
from edgeseg_export.instances.parity.matching import match
from edgeseg_export.instances.parity.objects import InstancePath, InstancePicture, InstancePictures, Seen
from edgeseg_export.parity.comparison import Sampling
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, DatasetError
from edgeseg_runtime.progress import Progress, silent

Rows = list[tuple[ClassMatches, ...]]


@dataclass(frozen=True, eq=False)
class InstanceReference:
    """The original's objects, found once and compared with as many artifacts as there are."""

    pictures: InstancePictures
    contract: Contract
    """The original's; an artifact carries its own."""
    sampling: Sampling
    names: tuple[str, ...]
    seen: tuple[Seen, ...]
    accuracy: InstanceAccuracy | None
    """Against the truth of the pictures that have one; None if none has."""

    @classmethod
    def of(
        cls,
        original: InstancePath,
        pictures: InstancePictures,
        contract: Contract,
        sampling: Sampling | None = None,
        *,
        progress: Progress = silent,
    ) -> InstanceReference:
        """Find the original's objects on every picture.

        Raises ConfigError without pictures, DatasetError for a truth that does not fit its picture or the labels.
        """
        if not len(pictures):
            raise ConfigError("the parity gate has no pictures to compare objects on; give it at least one")
        names, seen = [], []
        rows: Rows = []
        for index in progress(range(len(pictures)), "original's objects", len(pictures)):
            picture = pictures[index]
            found = original(picture.image)
            names.append(picture.name)
            seen.append(found)
            _check_truth(picture, len(contract.labels))
            _score(picture, found, contract, rows)
        accuracy = InstanceAccuracy(tuple(rows)) if rows else None
        return cls(pictures, contract, sampling or Sampling(), tuple(names), tuple(seen), accuracy)


def compare(
    reference: InstanceReference,
    artifact: InstancePath,
    *,
    label: str = "artifact's objects",
    progress: Progress = silent,
) -> InstanceComparison:
    """Find the artifact's objects on every picture and hold them against the original's and against the truth."""
    sampling = reference.sampling
    matches = []
    rows: Rows = []
    worst: list[tuple[float, int, Seen]] = []
    for index in progress(range(len(reference.seen)), label, len(reference.seen)):
        picture, expected = reference.pictures[index], reference.seen[index]
        found = artifact(picture.image)
        matches.append(match(expected, found))
        _score(picture, found, reference.contract, rows)
        worst = sorted([*worst, (matches[-1].agreement, index, found)], key=lambda entry: entry[:2])
        del worst[sampling.examples :]
    accuracy = None
    if reference.accuracy is not None:
        accuracy = InstanceAccuracyPair(reference.accuracy, InstanceAccuracy(tuple(rows)), sampling)
    return InstanceComparison(
        pictures=reference.names,
        labels=reference.contract.names,
        matches=tuple(matches),
        accuracy=accuracy,
        worst={index: found for _, index, found in worst},
    )


def _score(picture: InstancePicture, found: Seen, contract: Contract, rows: Rows) -> None:
    if picture.truth is not None:
        rows.append(match_truth(picture.truth, found.candidates, len(contract.labels)))


def _check_truth(picture: InstancePicture, classes: int) -> None:
    height, width = picture.image.shape[:2]
    for each in picture.truth or ():
        rows, columns = each.region.inside.shape
        bottom, right = each.region.top + rows, each.region.left + columns
        if min(each.region.top, each.region.left) < 0 or bottom > height or right > width:
            raise DatasetError(f"an object of {picture.name} reaches out of the picture of {height}×{width}")
        if not 0 <= each.label < classes:
            raise DatasetError(f"the truth of {picture.name} holds class {each.label}; the labels end at {classes - 1}")
