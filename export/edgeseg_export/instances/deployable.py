"""The module of an instance model that is trained, evaluated and exported, and its original run on frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgeseg_export.deployable import FrameModule
from edgeseg_runtime.contract import UNBATCHED
from edgeseg_runtime.engines.base import Raw
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image, to_input


class InstanceDeployable(FrameModule):
    """Gives what the contract's `output` names, in the order of `edgeseg_runtime.contract.OUTPUTS`.

    Its network gives a tuple of the same tensors in the same order, of `prototypes` with logits where the contract
    has scores; for `detections` of one picture at a time.
    """

    def raw(self, frames: Tensor) -> Any:
        """Map uint8 (N, H, W, 3) to what the network gives: for losses, which want logits."""
        return self.net(self.normalise(frames))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Map uint8 (N, H, W, 3) to the contract's outputs."""
        if self.contract.output == "prototypes":
            boxes, logits, coefficients, prototypes = self.raw(frames)
            return boxes, logits.sigmoid(), coefficients, prototypes
        boxes, labels, scores, masks = self.raw(frames)
        return boxes, labels, scores, masks


class TorchInstanceSegmenter:
    """The original: a PyTorch module run in float32 through the runtime's own pre- and postprocessing."""

    def __init__(
        self,
        module: InstanceDeployable,
        device: torch.device | str = "cpu",
        thresholds: Sequence[float] | None = None,
    ) -> None:
        """Take objects from `thresholds` on, a score for each class; the contract's where there are none."""
        self.module = module.to(device).eval()
        self.contract, self.device = module.contract, torch.device(device)
        self._decode = InstanceDecoder(self.contract, None if thresholds is None else tuple(thresholds))

    def outputs(self, frame: Image) -> Raw:
        """Return the contract's outputs for a uint8 H×W×3 BGR frame, without the axis of pictures."""
        batch = torch.from_numpy(to_input(frame, self.contract)[None]).to(self.device)
        with torch.inference_mode():
            found = self.module(batch)
        if self.contract.output not in UNBATCHED:
            found = tuple(each[0] for each in found)
        return tuple(np.ascontiguousarray(_plain(each).cpu().numpy()) for each in found)

    def __call__(self, frame: Image) -> InstanceResult:
        """Return the objects of a uint8 H×W×3 BGR frame."""
        return self._decode(self.outputs(frame), frame.shape[0], frame.shape[1])


def _plain(values: Tensor) -> Tensor:
    """Return half precision as the float32 that decoding takes, whole numbers as they are."""
    return values.float() if values.is_floating_point() else values
