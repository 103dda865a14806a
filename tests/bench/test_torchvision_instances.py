"""The yardstick's own parts, and the script end to end for one step: what it writes, not how good anything is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import torchvision_instances
from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.region import Region
from torchvision_instances import Pictures, ReferenceConfig, find, make_detector, reference, to_tensor


class Corner:
    """One picture with an object near a corner, a crowd, and a picture with nothing."""

    labels = (Label("a", (0, 0, 0)), Label("b", (9, 9, 9)))
    description = "pictures of a test"

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> InstanceSample:
        image = np.zeros((40, 60, 3), np.uint8)
        image[5:15, 2:12] = (200, 100, 0)
        crowd = Instance(0, Region(20, 20, np.ones((9, 9), np.bool_)), crowd=True)
        objects = (Instance(1, Region(5, 2, np.ones((10, 10), np.bool_))), crowd)
        return InstanceSample(image, objects if index else ())


def test_pictures_are_mirrored_with_their_objects_and_empty_ones_left_out() -> None:
    pictures = Pictures(Corner())
    assert len(pictures) == 1
    torch.manual_seed(0)
    seen = set()
    for _ in range(12):
        picture, target = pictures[0]
        assert (target["labels"].tolist(), tuple(target["masks"].shape)) == ([2], (1, 40, 60))  # 0 is the background
        left, top, right, bottom = target["boxes"][0].int().tolist()
        assert (top, bottom, right - left) == (5, 15, 10)
        inside = torch.zeros(40, 60, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        assert torch.equal(target["masks"][0].bool(), inside)
        assert torch.equal(picture[0] == 0, torch.ones_like(inside)) and torch.equal(picture[2] > 0.7, inside)
        seen.add(left)
    assert seen == {2, 48}


def test_what_is_found_is_in_the_pictures_own_pixels() -> None:
    """A network that says what it is told to, behind torchvision's own resizing and pasting."""
    detector = make_detector(ReferenceConfig("x", Path("y"), size=(64, 96)), 2).eval()
    small = torch.tensor([[9.6, 8.0, 57.6, 40.0]])  # in the 64×96 input

    class Told(torch.nn.Module):
        def forward(self, *_: object) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
            masks = torch.ones(1, 1, 28, 28)
            one = {"boxes": small, "labels": torch.tensor([2]), "scores": torch.tensor([0.8]), "masks": masks}
            return [one], {}

    detector.roi_heads = Told()
    frame = np.zeros((160, 200, 3), np.uint8)
    found = find(detector, frame)
    np.testing.assert_allclose(found.boxes, [[20, 20, 120, 100]], rtol=1e-5)
    assert (found.labels.tolist(), found.scores.tolist()) == ([1], pytest.approx([0.8]))
    inside = found.regions[0].inside
    assert inside.shape == (160, 200)
    assert inside[25:95, 25:115].all() and not inside[:18].any() and not inside[:, 123:].any()


def test_colours_are_torchvisions() -> None:
    frame = np.zeros((2, 3, 3), np.uint8)
    frame[..., 2] = 255  # red, in BGR
    assert to_tensor(frame)[:, 0, 0].tolist() == [1, 0, 0]


def test_other_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="take a maskrcnn"):
        make_detector(ReferenceConfig("x", Path("y"), model="yolact_mobilenet_v2"), 2)


@pytest.mark.slow
def test_the_script_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "reference.json"
    reference(config=ReferenceConfig("procedural:64x64,n=4", out, size=(64, 64), epochs=1, frozen=True, threads=1))
    told = json.loads(out.read_text())
    (epoch,) = told["epochs"]
    assert json.loads(capsys.readouterr().out) == {"best_epoch": 1, "best_mask_ap": epoch["mask_ap"]}
    assert epoch["loss"] > 0 and epoch["classes"].keys() == {"car", "person"}
    assert told["settings"]["lr"] == torchvision_instances.RATE * 4 / torchvision_instances.PICTURES
    assert told["data"]["train"].startswith("built-in street scenes")
