"""How the objects of a frame go from the model's process to its parent: in shared memory, as they are.

First a record for each object, then their masks' cells (float32), one after the other. What is taken out is copied,
checked, and only then believed: the process runs a model that nobody need have vetted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ScoresError
from edgeseg_runtime.instances.paste import Patch
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.result import StageTimes

BYTES = 64 << 20
"""For all objects of a frame: a hundred masks of 400×400 cells. Memory that is not written to is not taken."""
_FAR = 1e7
"""Pixels beyond which nothing lies, from any frame's corner."""
_NARROW = 1e-6
"""Pixels: no mask covers less."""

RECORD = np.dtype(
    [
        ("box", "<f4", 4),
        ("score", "<f4"),
        ("label", "u1"),
        ("place", "<f8", 4),  # left, top, width, height
        ("threshold", "<f8"),
        ("cells", "<u4", 2),  # rows, columns
    ]
)


class Unbelievable(Exception):  # noqa: N818 - one frame of a process that is then ended
    """What the model's process left is no frame's objects."""


class ObjectPad:
    """Memory for the objects of one frame. The process puts them there, its parent takes them."""

    def __init__(self, memory: npt.NDArray[np.uint8]) -> None:
        """Use this memory, uint8 (n,)."""
        self._memory = memory

    def put(self, result: InstanceResult) -> int:
        """Write the objects; return their number. Raises ScoresError where they do not fit."""
        count = len(result)
        needed = count * RECORD.itemsize + 4 * sum(patch.values.size for patch in result.patches)
        if needed > len(self._memory):
            raise ScoresError(
                f"the masks of {count} objects take {needed >> 20} MiB, and at most {len(self._memory) >> 20} are sent"
            )
        records = self._memory[: count * RECORD.itemsize].view(RECORD)
        records["box"], records["score"], records["label"] = result.boxes, result.scores, result.labels
        at = records.nbytes
        for record, patch in zip(records, result.patches, strict=True):
            record["place"] = patch.left, patch.top, patch.width, patch.height
            record["threshold"], record["cells"] = patch.threshold, patch.values.shape
            cells = self._memory[at : at + 4 * patch.values.size].view("<f4")
            cells[:] = patch.values.ravel()
            at += cells.nbytes
        return count

    def take(self, count: int, contract: Contract, height: int, width: int, times: StageTimes) -> InstanceResult:
        """Return `count` objects of a `height`×`width` frame. Raises Unbelievable."""
        assert contract.selection is not None
        if not 0 <= count <= min(contract.selection.limit, len(self._memory) // RECORD.itemsize):
            raise Unbelievable(f"the model tells of {count} objects, and at most {contract.selection.limit} count")
        records = self._memory[: count * RECORD.itemsize].copy().view(RECORD)
        _check(records, len(contract.labels), height, width)
        shapes = records["cells"].astype(np.int64)
        ends = np.cumsum(shapes[:, 0] * shapes[:, 1])
        total = int(ends[-1]) if count else 0
        # no mask is finer than the picture it is made from, and pasting costs memory in proportion
        if (shapes < 1).any() or (shapes > contract.size).any() or records.nbytes + 4 * total > len(self._memory):
            raise Unbelievable("the masks of the model's objects have sizes that there cannot be")
        cells = self._memory[records.nbytes : records.nbytes + 4 * total].copy().view("<f4")
        if not np.isfinite(cells).all():
            raise Unbelievable("the masks of the model's objects hold NaN or infinite numbers")
        patches = tuple(
            Patch(values.reshape(shape), left, top, wide, high, threshold)
            for values, shape, (left, top, wide, high), threshold in zip(
                np.split(cells, ends[:-1]) if count else (),
                shapes.tolist(),
                records["place"].tolist(),
                records["threshold"].tolist(),
                strict=True,
            )
        )
        boxes, scores, labels = (np.ascontiguousarray(records[name]) for name in ("box", "score", "label"))
        return InstanceResult(boxes, scores, labels, patches, height, width, contract, times)


def _check(records: npt.NDArray[np.void], classes: int, height: int, width: int) -> None:
    """Raise Unbelievable unless every object is of a class, lies in the frame, and has a mask somewhere near it."""
    box, place, score = records["box"], records["place"], records["score"]
    inside = (box[:, :2] >= 0).all() and (box[:, :2] <= box[:, 2:]).all() and (box[:, 2:] <= (width, height)).all()
    near = (np.abs(place) <= _FAR).all() and (place[:, 2:] >= _NARROW).all()
    known = (records["label"] < classes).all() and ((score >= 0) & (score <= 1)).all()
    if not (inside and near and known and np.isfinite(records["threshold"]).all()):
        raise Unbelievable("the model's objects have boxes, scores or classes that there cannot be")
