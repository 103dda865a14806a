from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeseg.training.views import AveragingSegmenter
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image

CONTRACT = Contract(tuple(Label(name, (0, 0, 0)) for name in "abc"), height=24, width=32)


def module(contract: Contract = CONTRACT) -> Deployable:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 3, 3, 1, 1))
    return Deployable(net, contract).eval()


def picture(height: int = 24, width: int = 32) -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)  # type: ignore[return-value]


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(24, 32), (48, 80), (33, 20)])
def test_one_view_is_the_deployed_way(resize: str, size: tuple[int, int]) -> None:
    net = module(replace(CONTRACT, resize=resize))  # type: ignore[arg-type]
    frame = picture(*size)
    same = AveragingSegmenter(net, (1.0,), flip=False)(frame) == TorchSegmenter(net)(frame)
    assert same.shape == size and same.mean() > 0.999


def test_a_mirrored_picture_has_a_mirrored_mask() -> None:
    segment, frame = AveragingSegmenter(module(), (1.0, 1.5), flip=True), picture()
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    assert (segment(mirrored)[:, ::-1] == segment(frame)).mean() > 0.999
    plain = AveragingSegmenter(module(), (1.0, 1.5), flip=False)
    assert (plain(mirrored)[:, ::-1] != plain(frame)).mean() > 0.01  # which is no matter of course


def probabilities(net: Deployable, image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(24, 32, classes), by OpenCV's interpolation."""
    with torch.inference_mode():
        scores: Tensor = net.scores(torch.from_numpy(image[None].copy()))[0]
    height, width = image.shape[:2]
    planes = [cv2.resize(cv2.resize(plane, (width, height)), (32, 24)) for plane in scores.numpy()]
    raised = np.exp(np.stack(planes, axis=-1))
    return raised / raised.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def test_views_are_averaged_by_probability() -> None:
    net, frame = module(), picture()
    rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    total = np.zeros((24, 32, 3), np.float32)
    for image in (rgb, cv2.resize(rgb, (48, 36))):
        total += probabilities(net, image)  # type: ignore[arg-type]
        total += probabilities(net, image[:, ::-1])[:, ::-1]  # type: ignore[arg-type]
    mask = AveragingSegmenter(net, (1.0, 1.5), flip=True)(frame)
    assert (mask == total.argmax(axis=-1)).mean() > 0.995


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="above 0, got none"):
        AveragingSegmenter(module(), (), flip=True)
    with pytest.raises(ConfigError, match=r"the smallest scale, 0\.5, leaves 12 pixels; the network needs 16"):
        AveragingSegmenter(module(), (1.0, 0.5), flip=False, minimum=16)
