"""The module that is trained, evaluated and exported: a network with the Contract's arithmetic around it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.decode import ScoreDecoder
from edgeseg_runtime.preprocess import Image, Mask, to_frame_mask, to_input


class FrameModule(nn.Module):
    """A network of any task that takes uint8 frames as the runtime prepares them.

    Training runs through this module too, so there is one normalisation and it is the one that is exported.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, net: nn.Module, contract: Contract) -> None:
        super().__init__()
        self.net, self.contract = net, contract
        mean, std = torch.tensor(contract.mean), torch.tensor(contract.std)
        self.register_buffer("mean", (255 * mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", (1 / (255 * std)).reshape(1, 3, 1, 1), persistent=False)

    def normalise(self, frames: Tensor) -> Tensor:
        """Map uint8 (N, H, W, 3) to float32 (N, 3, H, W), (x / 255 - mean) / std.

        Subtracting first, in the units of the pixels, leaves a product that export folds into the first convolution.
        """
        return (frames.permute(0, 3, 1, 2).to(self.scale.dtype) - self.mean) * self.scale


class Deployable(FrameModule):
    """Gives scores, or a mask if the contract says so."""

    def scores(self, frames: Tensor) -> Tensor:
        """Map uint8 (N, H, W, 3) to (N, classes, h, w) scores at the network's own resolution."""
        scores: Tensor = self.net(self.normalise(frames))
        return scores

    def forward(self, frames: Tensor) -> Tensor:
        """Return the scores, or the uint8 (N, H, W) mask that the runtime's decoder would make of them."""
        scores = self.scores(frames)
        if self.contract.output == "scores":
            return scores
        full = F.interpolate(scores, size=frames.shape[1:3], mode="bilinear", align_corners=False)
        return full.argmax(dim=1).to(torch.uint8)


class TorchSegmenter:
    """The original: a PyTorch module run in float32 through the runtime's own pre- and postprocessing."""

    def __init__(self, module: Deployable, device: torch.device | str = "cpu") -> None:
        self.module = module.to(device).eval()
        self.contract, self.device = module.contract, torch.device(device)
        self._decode = ScoreDecoder(self.contract.height, self.contract.width)

    def scores(self, frame: Image) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
        """Return float32 (classes, h, w) scores of a uint8 H×W×3 BGR frame."""
        batch = torch.from_numpy(to_input(frame, self.contract)[None]).to(self.device)
        with torch.inference_mode():
            return self.module.scores(batch)[0].float().cpu().contiguous().numpy()

    def __call__(self, frame: Image) -> Mask:
        """Return the uint8 H×W mask of a uint8 H×W×3 BGR frame."""
        mask = self._decode(self.scores(frame))
        return to_frame_mask(mask, self.contract, frame.shape[0], frame.shape[1])
