"""Objects from candidates and the prototypes that their masks are sums of.

Bolya et al., "YOLACT: Real-time Instance Segmentation", ICCV 2019, section 3: a mask is a linear combination of
prototypes, cut off at the box. Its last step, the sigmoid, is left out: above 0 before it is above 0.5 after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.instances.found import Found, Placing, solid
from edgeseg_runtime.instances.nms import nms
from edgeseg_runtime.instances.paste import Patch
from edgeseg_runtime.instances.product import product

THRESHOLD = 0.0
"""Of the sums."""


def read_prototypes(
    outputs: Sequence[npt.NDArray[Any]], contract: Contract, selection: Selection, placing: Placing
) -> Found:
    """Return the objects among the candidates of the output `prototypes`.

    A candidate is at most one object: of the class with its highest score among those whose threshold is reached.
    Only the masks of those that are left after all selection are summed, and only in their boxes.
    """
    boxes, scores, coefficients, prototypes = outputs
    enough = np.where(scores >= np.array(selection.thresholds, np.float32), scores, -1)
    places = np.flatnonzero(enough.max(axis=1) >= 0)
    labels = enough[places].argmax(axis=1)
    kept = placing.clipped(placing.to_frame(boxes[places]))
    whole = solid(kept)
    places, labels, kept = places[whole], labels[whole], kept[whole]
    sure = enough[places, labels]
    stay = nms(kept, sure, labels, selection.overlap, selection.limit)
    patches = _patches(coefficients[places[stay]], prototypes, kept[stay], contract, placing)
    shown = [place for place, patch in enumerate(patches) if patch.values.max() > THRESHOLD]
    stay = stay[shown]
    return Found(kept[stay], sure[stay], labels[stay].astype(np.uint8), tuple(patches[place] for place in shown))


def _patches(
    coefficients: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float32],
    contract: Contract,
    placing: Placing,
) -> list[Patch]:
    """Sum the objects' masks and cut out the cells that their boxes need: those in it, and one more on each side.

    One product of all is quicker than one for the cells of each, and keeps its time where the objects are large.
    """
    count, rows, columns = prototypes.shape
    # in pixels of the frame
    wide, high = placing.across * contract.width / columns, placing.down * contract.height / rows
    sums = np.empty((len(boxes), rows, columns), np.float32)
    product(coefficients, prototypes.reshape(count, rows * columns), sums.reshape(len(boxes), rows * columns))
    # the first cells that matter, and those after the last
    cells = np.floor(boxes.astype(np.float64) / (wide, high, wide, high) - 0.5).astype(np.intp)
    first, end = np.maximum(cells[:, :2], 0), np.minimum(cells[:, 2:] + 2, (columns, rows))
    patches = []
    for whole, (left, top), (right, bottom) in zip(sums, first.tolist(), end.tolist(), strict=True):
        values = whole[top:bottom, left:right]
        patches.append(Patch(values, left * wide, top * high, (right - left) * wide, (bottom - top) * high, THRESHOLD))
    return patches
