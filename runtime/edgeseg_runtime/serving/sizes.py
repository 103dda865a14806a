"""The input sizes at which a model whose size is open may work, so that it keeps up under load."""

from __future__ import annotations

from dataclasses import replace

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError

SHARES = (0.5, 0.75, 1.0)
"""Of the height and width that the model was trained at; its work goes with the square: a quarter, a half, all."""

STEPS = (32, 16, 8, 4, 2, 1)
"""Sides are multiples of one of these: networks halve their input up to five times, and some need that to come out
even."""

MOST_ROUNDING = 0.07
"""Of a side: more would make another size of it, and another picture where only one side is rounded."""


def contracts_at(contract: Contract) -> tuple[Contract, ...]:
    """Return the contract at each of its sizes, the smallest first and its own last.

    Sides are rounded to the largest step that divides the contract's own and does not change them much. Raises
    ConfigError where no size smaller than its own comes of that.
    """
    sizes = sorted({_size(contract.height, contract.width, share) for share in SHARES})
    if len(sizes) < 2:
        raise ConfigError(f"an input of {contract.height}×{contract.width} is too small to be made smaller under load")
    return tuple(replace(contract, height=height, width=width) for height, width in sizes)


def _size(height: int, width: int, share: float) -> tuple[int, int]:
    """Return the size nearest to a share of both sides; the whole size where there is none near."""
    for step in STEPS:
        wanted = height * share, width * share
        rows, columns = (round(side / step) * step for side in wanted)
        divides = height % step == 0 == width % step
        if divides and abs(rows / wanted[0] - 1) <= MOST_ROUNDING and abs(columns / wanted[1] - 1) <= MOST_ROUNDING:
            return rows, columns
    return height, width
