"""Run two paths over the same pictures and count where their masks differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg_export.parity.accuracy import Accuracy, Counts, score_picture
from edgeseg_export.parity.boundary import edge_band
from edgeseg_export.parity.comparison import AccuracyPair, Comparison, Settings
from edgeseg_export.parity.pictures import IGNORE, Path, Picture, Pictures
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, DatasetError, GateFailed
from edgeseg_runtime.metrics import confusion_counts
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True)
class Reference:
    """The original's masks, drawn once and compared with as many artifacts as there are."""

    pictures: Pictures
    contract: Contract
    """The original's; an artifact carries its own."""
    settings: Settings
    names: tuple[str, ...]
    masks: tuple[Mask, ...]
    accuracy: Accuracy | None
    """Against the truth of the pictures that have one; None if none has."""

    @classmethod
    def of(
        cls,
        original: Path,
        pictures: Pictures,
        contract: Contract,
        settings: Settings | None = None,
        *,
        progress: Progress = silent,
    ) -> Reference:
        """Draw the original's mask of every picture.

        Raises ConfigError without pictures, DatasetError for a truth that does not fit its picture or the labels.
        """
        if not len(pictures):
            raise ConfigError("the parity gate has no pictures to compare masks on; give it at least one")
        settings = settings or Settings()
        classes = len(contract.labels)
        names, masks, scored = [], [], []
        for index in progress(range(len(pictures)), "original's masks", len(pictures)):
            picture = pictures[index]
            mask = _draw(original, picture, classes, "the original")
            names.append(picture.name)
            masks.append(mask)
            if picture.truth is not None:
                _check_truth(picture, classes)
                scored.append(score_picture(picture.truth, mask, classes, settings.contour_share))
        accuracy = Accuracy.stack(scored) if scored else None
        return cls(pictures, contract, settings, tuple(names), tuple(masks), accuracy)


def compare(
    reference: Reference, artifact: Path, *, label: str = "artifact's masks", progress: Progress = silent
) -> Comparison:
    """Draw the artifact's mask of every picture and measure it against the original's and against the truth.

    Raises GateFailed when the artifact gives something that is no mask of the frame, or a class that does not exist.
    """
    settings, classes = reference.settings, len(reference.contract.labels)
    agreement, band, scored = [], [], []
    between = np.zeros((classes, classes), np.int64)
    worst: list[tuple[float, int, Mask]] = []
    for index in progress(range(len(reference.masks)), label, len(reference.masks)):
        picture, expected = reference.pictures[index], reference.masks[index]
        mask = _draw(artifact, picture, classes, "the artifact")
        equal = mask == expected
        agreement.append(float(equal.mean()))
        near = edge_band(expected, settings.edge_distance)
        band.append((np.count_nonzero(equal & near), np.count_nonzero(near)))
        between += confusion_counts(expected, mask, classes, IGNORE)
        if picture.truth is not None:
            scored.append(score_picture(picture.truth, mask, classes, settings.contour_share))
        worst = sorted([*worst, (agreement[-1], index, mask)], key=lambda entry: entry[:2])[: settings.examples]
    return Comparison(
        pictures=reference.names,
        labels=reference.contract.names,
        settings=settings,
        agreement=np.array(agreement),
        band=np.array(band, np.int64),
        between=between,
        accuracy=_pair(reference, scored),
        worst={index: mask for _, index, mask in worst},
    )


def _pair(reference: Reference, scored: list[tuple[Counts, Counts]]) -> AccuracyPair | None:
    if reference.accuracy is None:
        return None
    return AccuracyPair(reference.accuracy, Accuracy.stack(scored), reference.settings)


def _draw(path: Path, picture: Picture, classes: int, whose: str) -> Mask:
    """Run a path, and refuse what cannot be compared."""
    mask = path(picture.image)
    expected = picture.image.shape[:2]
    if mask.dtype != np.uint8 or mask.shape != expected:
        raise GateFailed(
            f"{whose} gave {mask.dtype} {'×'.join(map(str, mask.shape))} for picture {picture.name}, "
            f"whose mask must be uint8 {'×'.join(map(str, expected))}"
        )
    if (highest := int(mask.max())) >= classes:
        raise GateFailed(f"{whose} gave class {highest} on picture {picture.name}; there are {classes}, from 0 on")
    return mask


def _check_truth(picture: Picture, classes: int) -> None:
    truth = picture.truth
    assert truth is not None
    if truth.shape != picture.image.shape[:2]:
        raise DatasetError(f"the truth of {picture.name} is {truth.shape}, the picture {picture.image.shape[:2]}")
    present = np.flatnonzero(np.bincount(truth.ravel(), minlength=256))
    if unknown := [int(value) for value in present if classes <= value != IGNORE]:
        raise DatasetError(f"the truth of {picture.name} holds class {unknown[0]}; the labels end at {classes - 1}")
