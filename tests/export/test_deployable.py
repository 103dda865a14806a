from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.contract import GRAY_MEAN, GRAY_STD, IMAGENET_MEAN, IMAGENET_STD, Contract, Label
from edgeseg_runtime.decode import ScoreDecoder
from edgeseg_runtime.segmenter import Segmenter

LABELS = tuple(Label(name, (1, 2, 3)) for name in "abc")
NORMS = [(GRAY_MEAN, GRAY_STD), (IMAGENET_MEAN, IMAGENET_STD), ((0.0, 0.5, 1.0), (0.1, 1.0, 2.0))]


@pytest.mark.parametrize(("mean", "std"), NORMS)
def test_normalisation_is_what_the_contract_says(mean: Any, std: Any) -> None:
    module = Deployable(torch.nn.Identity(), Contract(LABELS, 5, 7, mean=mean, std=std))
    frames = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    found = module.normalise(frames)
    assert found.dtype == torch.float32
    by_hand = (frames.numpy().transpose(0, 3, 1, 2) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(found.numpy(), by_hand, atol=2e-5)
    theirs = reference.normalize(frames.permute(0, 3, 1, 2).float() / 255, list(mean), list(std))
    torch.testing.assert_close(found, theirs, atol=2e-5, rtol=0)


def test_normalisation_is_no_part_of_the_weights() -> None:
    assert Deployable(torch.nn.Conv2d(3, 2, 1), Contract(LABELS, 5, 7)).state_dict().keys() == {
        "net.weight",
        "net.bias",
    }


def test_scores_and_mask_of_the_module_are_one_truth(trained: Any) -> None:
    masked = Deployable(trained.module.net, replace(trained.module.contract, output="mask"))
    decode = ScoreDecoder(*trained.module.contract.size)
    frames = torch.from_numpy(np.stack([trained.reference.pictures[i].image[:72, :96, ::-1] for i in range(4)]))
    with torch.inference_mode():
        scores, masks = trained.module(frames), masked(frames)
    assert masks.dtype == torch.uint8
    assert masks.shape == (4, 72, 96)
    for one, mask in zip(scores.numpy(), masks.numpy(), strict=True):
        assert len(np.unique(mask)) > 2
        assert (decode(one) == mask).mean() >= 0.9999


@pytest.fixture(scope="module")
def mask_file(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mask") / "model.onnx"
    export_onnx(Deployable(trained.module.net, replace(trained.module.contract, output="mask")), path)
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_graphs_mask_is_the_runtimes(trained: Any, mask_file: Path, engine: str) -> None:
    scores, mask = Segmenter.load(trained.onnx, engine=engine), Segmenter.load(mask_file, engine=engine)
    assert (scores.contract.output, mask.contract.output) == ("scores", "mask")
    for index in range(8):
        frame = trained.reference.pictures[index].image
        one, other = scores(frame).mask, mask(frame).mask
        assert one.shape == other.shape == frame.shape[:2]
        # only pixels whose two best scores differ by no more than rounding may fall the other way
        assert (one == other).mean() >= 0.9999


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_original_and_its_float_file_draw_the_same_masks(trained: Any, engine: str) -> None:
    original, exported = TorchSegmenter(trained.module), Segmenter.load(trained.onnx, engine=engine)
    for index in range(8):
        frame = trained.reference.pictures[index].image
        (scores,) = exported.lane().infer(exported.lane().preprocess(frame))
        np.testing.assert_allclose(scores, original.scores(frame), atol=2e-3)
        assert (original(frame) == exported(frame).mask).mean() >= 0.9999
