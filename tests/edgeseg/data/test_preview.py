from __future__ import annotations

import numpy as np
import pytest

from edgeseg.data.base import IGNORE, Sample
from edgeseg.data.preview import page
from edgeseg_runtime.contract import Label

LABELS = (Label("road", (250, 0, 0)), Label("sky", (0, 0, 250)))


def sample(height: int, width: int, value: int) -> tuple[str, Sample]:
    return f"p{value}", Sample(np.full((height, width, 3), 100, np.uint8), np.full((height, width), value, np.uint8))


def test_masks_lie_over_their_pictures_in_rows() -> None:
    drawn = page([sample(240, 320, 0), sample(240, 320, 1), sample(240, 320, IGNORE)], LABELS, columns=2)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == 2 * 328
    # blended in the class's colour, BGR: 0.55 of it and 0.45 of the picture
    assert drawn[100, 100].tolist() == pytest.approx([45, 45, 182], abs=1)
    assert drawn[100, 428].tolist() == pytest.approx([182, 45, 45], abs=1)
    striped = drawn[272 + 100 : 272 + 140, 100:140]
    assert {tuple(pixel) for pixel in striped.reshape(-1, 3).tolist()} == {(50, 50, 50), (140, 140, 140)}
    assert (drawn[272 + 100, 428] == 255).all()  # no fourth picture


def test_the_legend_shows_what_is_seen_and_nothing_else() -> None:
    seen = page([sample(64, 64, 1)], LABELS)
    assert (seen == (250, 0, 0)).all(axis=2).any()
    assert not (seen == (0, 0, 250)).all(axis=2).any()


def test_a_legend_of_many_classes_takes_lines() -> None:
    labels = tuple(Label(f"a class of a long name {index}", (index, 9, 9)) for index in range(100))
    mask = (np.arange(100 * 100) % 100).astype(np.uint8).reshape(100, 100)
    drawn = page([("x" * 200, Sample(np.zeros((100, 100, 3), np.uint8), mask))], labels)
    assert drawn.shape[1] == 328
    legend = drawn[360:]
    reds = np.unique(legend[(legend[..., :2] == 9).all(axis=2)][:, 2])
    assert reds.tolist() == list(range(100))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 900), (900, 2), (3000, 10)])
def test_odd_sizes_fit(height: int, width: int) -> None:
    drawn = page([sample(height, width, 0), sample(64, 64, 1)], LABELS)
    assert drawn.shape[1] == 2 * 328
