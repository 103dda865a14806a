from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.models.instances.cells import STRIDES, grid_sizes, make_cells


def test_cells_by_hand() -> None:
    cells = make_cells((16, 40))
    assert grid_sizes((16, 40)) == [(2, 5), (1, 3), (1, 2)]
    assert cells.centres[:6].tolist() == [[4, 4], [12, 4], [20, 4], [28, 4], [36, 4], [4, 12]]
    assert cells.centres[10:].tolist() == [[8, 8], [24, 8], [40, 8], [16, 16], [48, 16]]
    assert cells.strides.tolist() == [8] * 10 + [16] * 3 + [32] * 2


@given(st.integers(1, 200), st.integers(1, 200))
def test_every_pixel_belongs_to_one_cell_of_each_grid(height: int, width: int) -> None:
    cells = make_cells((height, width))
    for stride in STRIDES:
        centres = cells.centres[cells.strides == stride]
        corners = torch.tensor([[0.5, 0.5], [width - 0.5, height - 0.5], [width - 0.5, 0.5], [0.5, height - 0.5]])
        near = (corners[:, None] - centres).abs() < stride / 2
        assert near.all(dim=-1).sum(dim=1).tolist() == [1, 1, 1, 1]
        assert (centres - stride / 2 < torch.tensor([width, height])).all()
