"""Objects from a model that has already chosen them, and gives a small mask over the box of each.

He et al., "Mask R-CNN", ICCV 2017, section 3: the mask branch gives m×m probabilities for each box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.errors import ScoresError
from edgeseg_runtime.instances.found import Found, Placing, solid
from edgeseg_runtime.instances.paste import Patch

THRESHOLD = 0.5
"""Of the probabilities."""
BACKGROUND = -1
"""Label of a box that is no object: OpenVINO leaves one in now and then."""


def read_detections(
    outputs: Sequence[npt.NDArray[Any]], contract: Contract, selection: Selection, placing: Placing
) -> Found:
    """Return the objects of the output `detections`; duplicates are already out, so `overlap` is not looked at.

    Raises ScoresError for a label that is no class.
    """
    boxes, labels, scores, masks = outputs
    if len(labels) and not BACKGROUND <= int(labels.min()) <= int(labels.max()) < len(contract.labels):
        wrong = labels[(labels < BACKGROUND) | (labels >= len(contract.labels))][0]
        raise ScoresError(f"the model gives an object of class {wrong}, its contract has {len(contract.labels)}")
    thresholds = np.array(selection.thresholds, np.float32)
    uncut = placing.to_frame(boxes)
    kept = placing.clipped(uncut)
    chosen = np.flatnonzero((labels != BACKGROUND) & (scores >= thresholds[labels]) & solid(kept))
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][: selection.limit]
    chosen = chosen[masks[chosen].max(axis=(1, 2), initial=0) > THRESHOLD]
    patches = tuple(
        Patch(values, x0, y0, x1 - x0, y1 - y0, THRESHOLD)
        for values, (x0, y0, x1, y1) in zip(masks[chosen], uncut[chosen].tolist(), strict=True)
    )
    return Found(kept[chosen], scores[chosen], labels[chosen].astype(np.uint8), patches)
