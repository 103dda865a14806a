"""Test-time augmentation: the mean answer to a picture at several sizes and mirrored. For tables, not for devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg_export.deployable import Deployable
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image, Mask, content_size, to_frame_mask, to_input


class AveragingSegmenter:
    """A PyTorch module whose class probabilities are averaged over views of each picture.

    `scales` multiply the contract's height and width; `flip` adds each view's mirror image. Raises ConfigError for
    no scale, or one that leaves less than `minimum` pixels of height or width.
    """

    def __init__(self, module: Deployable, scales: Sequence[float], flip: bool, minimum: int = 1) -> None:
        self.module, self.contract, self.flip = module.eval(), module.contract, flip
        if not scales or not all(0 < scale < inf for scale in scales):
            raise ConfigError(f"scales must be above 0, got {', '.join(map(str, scales)) or 'none'}")
        height, width = self.contract.size
        self._views = [
            replace(self.contract, height=round(scale * height), width=round(scale * width)) for scale in scales
        ]
        if (least := min(min(view.size) for view in self._views)) < minimum:
            raise ConfigError(
                f"the smallest scale, {min(scales):g}, leaves {least} pixels; the network needs {minimum}"
            )

    def __call__(self, frame: Image) -> Mask:
        """Return the uint8 H×W mask of a uint8 H×W×3 BGR frame."""
        height, width = frame.shape[:2]
        rows, columns = content_size(height, width, self.contract)
        with torch.inference_mode():
            total = sum(self._probabilities(frame, view, (rows, columns)) for view in self._views)
        mask = np.full(self.contract.size, self.contract.ignore_index, np.uint8)
        mask[:rows, :columns] = torch.as_tensor(total).argmax(dim=0).cpu().numpy()
        return to_frame_mask(mask, self.contract, height, width)

    def _probabilities(self, frame: Image, view: Contract, size: tuple[int, int]) -> Tensor:
        """Return the (classes, *size) probabilities of the frame seen through `view`, padding left out."""
        batch = torch.from_numpy(to_input(frame, view)[None]).to(self.module.mean.device)
        rows, columns = content_size(frame.shape[0], frame.shape[1], view)
        scores = self.module.scores(batch).float()
        if self.flip:
            scores = torch.cat([scores, self.module.scores(batch.flip(2)).float().flip(3)])
        full = F.interpolate(scores, size=view.size, mode="bilinear", align_corners=False)[..., :rows, :columns]
        return F.interpolate(full, size=size, mode="bilinear", align_corners=False).softmax(dim=1).mean(dim=0)
