"""From what an instance model gives to the objects of a frame: the only implementation there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract, Output
from edgeseg_runtime.errors import ContractError, ScoresError
from edgeseg_runtime.instances.detections import read_detections
from edgeseg_runtime.instances.found import Found, Placing
from edgeseg_runtime.instances.prototypes import read_prototypes
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import content_size
from edgeseg_runtime.result import UNTIMED, StageTimes

READERS: dict[Output, Callable[..., Found]] = {"prototypes": read_prototypes, "detections": read_detections}


class InstanceDecoder:
    """Turns the outputs of one picture into an InstanceResult.

    What counts as an object is the contract's `selection`: its class's threshold is reached, no surer object of the
    class overlaps it too much, and it is among the surest. Boxes are brought back onto the frame, without the padding
    of a letterbox, and clipped to it. Objects of whose box nothing is left are dropped before the limit counts; those
    of which no cell of the mask, within the box, is above its threshold, and whose mask would therefore be empty, are
    dropped after. A mask that is thinner than a pixel can still turn out empty once it is pasted.
    """

    def __init__(self, contract: Contract, thresholds: Sequence[float] | None = None) -> None:
        """`thresholds`, one for each class, take the place of the contract's.

        Raises ContractError for a contract of another task, and for thresholds of another number or out of 0..1.
        """
        if contract.selection is None:
            raise ContractError(f"objects come from models for the task instance, this one's is {contract.task}")
        selection = contract.selection
        if thresholds is not None:
            selection = replace(selection, thresholds=tuple(thresholds))
            replace(contract, selection=selection)  # checks that they fit the classes
        self._contract, self._selection, self._read = contract, selection, READERS[contract.output]

    def __call__(
        self, outputs: Sequence[npt.NDArray[Any]], height: int, width: int, times: StageTimes = UNTIMED
    ) -> InstanceResult:
        """Return the objects of a `height`×`width` frame.

        `outputs` are those of one picture in the order of `contract.OUTPUTS`, those of prototypes without the batch
        axis; they are not kept, so that the engine may write over them. `times` is passed on. Raises ScoresError when
        a number is NaN or infinite.
        """
        for values in outputs:
            if not _finite(values):
                # No order of scores is right there, and every implementation picks another one.
                raise ScoresError(
                    "the model gives NaN or infinite numbers; its weights are damaged or its training diverged"
                )
        rows, columns = content_size(height, width, self._contract)
        placing = Placing(height, width, width / columns, height / rows)
        found = self._read(outputs, self._contract, self._selection, placing)
        return InstanceResult(
            found.boxes,
            found.scores,
            found.labels,
            found.patches,
            height,
            width,
            self._contract,
            times,
        )


def _finite(values: npt.NDArray[Any]) -> bool:
    """Whether no number is NaN or infinite. A sum is quicker than a look at each, and spoiled by any that is."""
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if np.isfinite(total):
        return True
    return bool(np.isfinite(values).all())  # a sum of finite numbers may be too large for its type
