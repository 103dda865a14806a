from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models as vision
from torchvision.models import MobileNet_V2_Weights, MobileNet_V3_Large_Weights, ResNet50_Weights, detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.mask_rcnn import maskrcnn_resnet50_fpn

from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.models.foreign import load_foreign
from edgeseg.models.instances.maskrcnn import MaskRcnn, make_anchors
from edgeseg.models.instances.registry import INSTANCE_MODELS, build_instance, instance_spec

SIZE = (64, 96)
FROZEN = 53_120
"""Values that torchvision counts as no parameters: it freezes the batch normalisations of its first network's trunk."""


def make(name: str, classes: int = 2, size: tuple[int, int] = SIZE) -> MaskRcnn:
    torch.manual_seed(0)
    net = build_instance(name, classes, size)
    assert isinstance(net, MaskRcnn)
    net.detector.rpn._post_nms_top_n = {"training": 30, "testing": 20}
    net.detector.roi_heads.fg_bg_sampler.batch_size_per_image, net.detector.roi_heads.score_thresh = 16, 0.0
    return net.eval()


@pytest.mark.parametrize(
    ("name", "frozen", "objects"), [("maskrcnn_resnet50_fpn", FROZEN, 0), ("maskrcnn_resnet50_fpn_v2", 0, 100)]
)
def test_it_costs_what_torchvision_says(name: str, frozen: int, objects: int) -> None:
    published = instance_spec(name).published
    assert published is not None and published.gmacs is not None and f" {objects} objects" in published.source
    with torch.device("meta"):
        net = build_instance(name, published.classes, published.size)
    assert isinstance(net, MaskRcnn)
    assert count_parameters(net) - frozen == round(1e6 * published.parameters)
    net.detector.roi_heads.detections_per_img = objects
    assert count_macs(net, published.size) / 1e9 == pytest.approx(published.gmacs, rel=1e-4)


def test_its_objects_are_torchvisions_own() -> None:
    net = make("maskrcnn_resnet50_fpn")
    original = maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=3,
        min_size=64,
        max_size=96,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_post_nms_top_n_test=20,
        box_score_thresh=0.0,
        rpn_anchor_generator=AnchorGenerator(((2.56,), (5.12,), (10.24,), (20.48,), (40.96,)), ((0.5, 1.0, 2.0),) * 5),
    ).eval()
    original.load_state_dict(net.detector.state_dict())
    image = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        mine, (its,) = net(image), original([image[0]])
    assert len(mine.boxes) == len(its["boxes"]) > 0
    assert torch.allclose(mine.boxes, its["boxes"], atol=1e-3) and torch.allclose(mine.scores, its["scores"])
    assert torch.equal(mine.labels + 1, its["labels"])


def test_what_is_taken_for_background_is_dropped() -> None:
    net = make("maskrcnn_mobilenet_v2_fpn")

    def found(*_: Any) -> list[dict[str, torch.Tensor]]:
        labels = torch.tensor([2, 0, 1])
        boxes = torch.arange(12.0).reshape(3, 4)
        return [{"boxes": boxes, "labels": labels, "scores": torch.ones(3), "masks": torch.ones(3, 1, 28, 28)}]

    net.detector.forward = found
    result = net(torch.zeros(1, 3, *SIZE))
    assert result.labels.tolist() == [1, 0]
    assert result.boxes[:, 0].tolist() == [0, 8]
    assert result.masks.shape == (2, 28, 28) and result.scores.shape == (2,)


def test_more_than_one_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="too many values"):
        make("maskrcnn_mobilenet_v2_fpn")(torch.zeros(2, 3, *SIZE))


@pytest.mark.parametrize("name", ["maskrcnn_mobilenet_v2_fpn", "maskrcnn_mobilenet_v3_large_fpn"])
def test_learning_begins_where_nothing_is_known(name: str) -> None:
    """Features as large as a trunk gives them would make the losses of masks ten times those of a coin toss, log 2."""
    torch.manual_seed(0)
    net = make(name).train()
    target = {
        "boxes": torch.tensor([[8.0, 8, 56, 56]]),
        "labels": torch.tensor([0]),
        "masks": torch.ones(1, *SIZE, dtype=torch.bool),
        "crowd": torch.tensor([False]),
    }
    losses = net.losses(torch.randn(2, 3, *SIZE), [target, target])
    assert 0 < losses["loss_mask"].item() < 4 * math.log(2)


def test_boxes_are_not_rounded_where_the_rest_is_computed_in_bf16() -> None:
    """A column of pixels at 319 has no width in bf16, whose steps are two pixels there."""
    torch.manual_seed(0)
    net, proposals = make("maskrcnn_mobilenet_v2_fpn", size=(64, 320)).train(), []
    net.detector.roi_heads.register_forward_pre_hook(lambda _, given: proposals.extend(given[1]))
    mask = torch.zeros(1, 64, 320, dtype=torch.bool)
    mask[0, 10:60, 319] = True
    box = torch.tensor([[319.0, 10, 320, 60]])
    target = {"boxes": box, "labels": torch.tensor([0]), "masks": mask, "crowd": torch.tensor([False])}
    with torch.autocast("cpu", torch.bfloat16):
        losses = net.losses(torch.randn(2, 3, 64, 320), [target, target])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert proposals[0].dtype == torch.float32
    inside = proposals[0][:, 0]  # left sides, between the borders that proposals are cut at
    assert (inside != inside.bfloat16().float()).float().mean() > 0.3


def test_labels_and_crowds_reach_torchvision_in_its_own_terms() -> None:
    net, seen = make("maskrcnn_mobilenet_v2_fpn").train(), []
    net.detector.forward = lambda images, targets: seen.append((images, targets)) or {}  # type: ignore[func-returns-value]
    target = {
        "boxes": torch.tensor([[0.0, 0, 9, 9], [5, 5, 20, 20], [1, 1, 3, 3]]),
        "labels": torch.tensor([0, 1, 1]),
        "masks": torch.ones(3, *SIZE, dtype=torch.bool),
        "crowd": torch.tensor([False, True, False]),
    }
    net.losses(torch.zeros(1, 3, *SIZE), [target])
    (((image,), (given,)),) = seen
    assert image.shape == (3, *SIZE)
    assert given["labels"].tolist() == [1, 2]
    assert given["boxes"].tolist() == [[0, 0, 9, 9], [1, 1, 3, 3]]
    assert given["masks"].shape == (2, *SIZE) and given["masks"].dtype == torch.uint8


def test_losses_are_torchvisions_and_need_training_mode() -> None:
    net = make("maskrcnn_mobilenet_v2_fpn")
    with pytest.raises(RuntimeError, match=r"call train\(\) first"):
        net.losses(torch.zeros(1, 3, *SIZE), [])
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, *SIZE, dtype=torch.uint8),
        "crowd": torch.zeros(0, dtype=torch.bool),
    }
    losses = net.train().losses(torch.randn(2, 3, *SIZE), [empty, empty])
    assert losses.keys() == {
        "loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"
    }  # fmt: skip
    assert float(losses["loss_mask"].detach()) == float(losses["loss_box_reg"].detach()) == 0


def test_anchors_are_torchvisions_at_its_size_and_smaller_below() -> None:
    whole = [size for level in make_anchors((800, 1333), 5, 1).sizes for size in level]
    assert whole == pytest.approx([32, 64, 128, 256, 512])
    assert make_anchors((400, 600), 5, 1).sizes[0] == pytest.approx((16,))
    small = [size for level in make_anchors((240, 320), 4, 2).sizes for size in level]
    assert small[0] == pytest.approx(32 * 0.3) and small[-1] == pytest.approx(512 * 0.3)
    steps = [after / before for before, after in pairwise(small)]
    assert steps == pytest.approx([16 ** (1 / 7)] * 7)


@pytest.mark.parametrize("name", [name for name in INSTANCE_MODELS if name.startswith("maskrcnn")])
def test_the_region_proposals_have_an_anchor_for_each_of_their_outputs(name: str) -> None:
    net = make(name)
    rpn, heads = net.detector.rpn, net.detector.roi_heads
    features = net.detector.backbone(torch.zeros(1, 3, *SIZE))
    assert len(features) == len(rpn.anchor_generator.sizes)
    assert set(rpn.anchor_generator.num_anchors_per_location()) == {rpn.head.cls_logits.out_channels}
    pooled = [key for key in features if key != "pool"]
    assert pooled == heads.box_roi_pool.featmap_names == heads.mask_roi_pool.featmap_names


@pytest.mark.parametrize(
    ("name", "weights", "prefix"),
    [
        ("maskrcnn_mobilenet_v2_fpn", MobileNet_V2_Weights.IMAGENET1K_V1, "features."),
        ("maskrcnn_mobilenet_v3_large_fpn", MobileNet_V3_Large_Weights.IMAGENET1K_V1, "features."),
        ("maskrcnn_resnet50_fpn", ResNet50_Weights.IMAGENET1K_V1, ""),
        ("maskrcnn_resnet50_fpn_v2", ResNet50_Weights.IMAGENET1K_V1, ""),
    ],
)
def test_imagenet_weights_are_found_where_torchvision_keeps_them(
    name: str, weights: Any, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / Path(weights.url).name
    cached.parent.mkdir()
    torch.manual_seed(1)
    whole = weights_model(name)
    torch.save(whole.state_dict(), cached)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: torch.load(cached))
    net = build_instance(name, 2, SIZE, "imagenet")
    own, given = net.get_submodule(str(net.trunk)).state_dict(), whole.state_dict()
    assert own
    for key, value in own.items():
        assert torch.equal(value, given[prefix + key]), key


def weights_model(name: str) -> Any:
    """Return torchvision's classification network that the trunk of `name` is a part of, with random weights."""
    if "resnet" in name:
        return vision.resnet50(weights=None)
    return vision.mobilenet_v3_large(weights=None) if "v3" in name else vision.mobilenet_v2(weights=None)


def test_a_file_of_a_trunk_and_one_of_a_whole_network_fit(tmp_path: Path) -> None:
    torch.manual_seed(1)
    donor = vision.mobilenet_v2(weights=None).features.state_dict()
    torch.save(donor, tmp_path / "trunk.pth")
    net = make("maskrcnn_mobilenet_v2_fpn")
    report = load_foreign(net, tmp_path / "trunk.pth")
    assert all(torch.equal(value, donor[key]) for key, value in net.get_submodule(net.trunk).state_dict().items())
    assert all(name.startswith("detector.backbone.body.") for name in report.used)
    assert len(report.unexpected) == 5 and all(name.startswith("18.") for name in report.unexpected)

    whole = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    report = load_foreign(make("maskrcnn_resnet50_fpn"), tmp_path / "whole.pth")
    assert report.missing == report.unexpected == ()
    assert {line.partition(" ")[0].split(".")[2] for line in report.mismatched} == {"box_predictor", "mask_predictor"}
