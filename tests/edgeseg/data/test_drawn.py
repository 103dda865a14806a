from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import Pair, Size
from edgeseg.data.polygons import box, fill
from tests.edgeseg.data.samples import rows

PAIR, SIZE = Pair(Path("a.png"), Path("a.json")), (3, 5)


def square(label: int, left: int, right: int, *, crowd: bool = False) -> Drawn:
    return Drawn(label, fill([box(left, 0, right, 3)], *SIZE), crowd)


@dataclass(frozen=True)
class Given:
    shapes: tuple[Drawn, ...]

    def __call__(self, pair: Pair, size: Size) -> tuple[Drawn, ...]:  # noqa: ARG002
        return self.shapes


@pytest.mark.parametrize("turned", [False, True])
def test_where_nothing_is_said_small_shapes_lie_on_large_ones(turned: bool) -> None:
    shapes = (square(1, 1, 2), square(2, 0, 4))
    painted = PaintedTruth(Given(shapes[::-1] if turned else shapes), 0, ordered=False)(PAIR, SIZE)
    assert np.array_equal(painted, rows("21220", "21220", "21220"))


def test_an_order_that_is_said_is_kept() -> None:
    painted = PaintedTruth(Given((square(1, 1, 2), square(2, 0, 4))), 3, ordered=True)(PAIR, SIZE)
    assert np.array_equal(painted, rows("22223", "22223", "22223"))


def test_crowds_are_ignored_below_every_object() -> None:
    crowd = square(1, 1, 3, crowd=True)
    painted = PaintedTruth(Given((square(2, 0, 5), crowd)), 0, ordered=False)(PAIR, SIZE)
    assert not (painted == 255).any()
    painted = PaintedTruth(Given((square(2, 2, 5), crowd)), 0, ordered=False)(PAIR, SIZE)
    assert np.array_equal(painted, rows("0x222", "0x222", "0x222"))
