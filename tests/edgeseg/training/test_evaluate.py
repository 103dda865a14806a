from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from edgeseg.data.base import IGNORE, Sample
from edgeseg.training.evaluate import check_classes, evaluate
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Image, Mask

NAMES = ("a", "b", "c")
RNG = np.random.default_rng(0)


class Pictures:
    """Pictures of different sizes whose first channel holds what will be predicted."""

    labels = tuple(Label(name, (0, 0, 0)) for name in NAMES)
    description = "pictures of a test"

    def __init__(self, ignored: float) -> None:
        self.samples = []
        for size in ((5, 7), (9, 4), (6, 6)):
            truth = RNG.integers(0, 3, size, dtype=np.uint8)
            truth[RNG.random(size) < ignored] = IGNORE
            self.samples.append(Sample(RNG.integers(0, 3, (*size, 3), dtype=np.uint8), truth))

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> Sample:
        return self.samples[index]


def first_channel(frame: Image) -> Mask:
    return np.ascontiguousarray(frame[..., 0])


def test_scores_are_those_of_all_pixels_together() -> None:
    data = Pictures(ignored=0.2)
    scores = evaluate(first_channel, data, NAMES)
    truth = np.concatenate([sample.mask.ravel() for sample in data.samples])
    predicted = np.concatenate([sample.image[..., 0].ravel() for sample in data.samples])
    valid = truth != IGNORE
    expected = jaccard_score(truth[valid], predicted[valid], average=None)
    np.testing.assert_allclose(scores.iou, expected)
    assert scores.confusion.sum() == valid.sum()


def test_progress_is_told_the_number_of_pictures() -> None:
    told: list[tuple[str, int | None]] = []

    def progress(items: range, label: str, total: int | None = None) -> range:
        told.append((label, total))
        return items

    evaluate(first_channel, Pictures(0), NAMES, progress)  # type: ignore[arg-type]
    assert told == [("scoring", 3)]


def test_nothing_labelled_is_an_error_not_a_score() -> None:
    with pytest.raises(DatasetError, match="none of the 3 pictures has a labelled pixel"):
        evaluate(first_channel, Pictures(ignored=1.1), NAMES)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a", "c"), ("a", "b", "d"), ("a", "b", "c", "d")])
def test_other_classes_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(DatasetError, match=f"the model knows {len(names)} classes .*, the pictures have 3"):
        check_classes(Pictures(0), names)
    check_classes(Pictures(0), NAMES)
