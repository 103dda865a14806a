"""What holds for every architecture that tells objects apart. `-k NAME` runs one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgeseg.models.cost import count_parameters, instance_cost
from edgeseg.models.instances.cells import make_cells
from edgeseg.models.instances.maskrcnn import MaskRcnn
from edgeseg.models.instances.outputs import DetectionOutput, PrototypeOutput
from edgeseg.models.instances.registry import INSTANCE_MODELS, build_instance, instance_spec
from edgeseg.training.instances.losses import prototype_losses
from edgeseg_runtime.contract import TASK_OUTPUTS
from edgeseg_runtime.errors import ConfigError

SIZE, CLASSES = (64, 96), 3


def make(name: str, classes: int = CLASSES, size: tuple[int, int] = SIZE) -> nn.Module:
    """Build a network; Mask R-CNN looks at few regions, which is quick, and takes all of them for objects."""
    torch.manual_seed(0)
    net = build_instance(name, classes, size)
    if isinstance(net, MaskRcnn):
        heads, rpn = net.detector.roi_heads, net.detector.rpn
        heads.fg_bg_sampler.batch_size_per_image, heads.detections_per_img, heads.score_thresh = 8, 4, 0.0
        rpn._post_nms_top_n = {"training": 20, "testing": 10}
    return net


def targets() -> list[dict[str, Tensor]]:
    """Return the truth about three pictures: two objects, one and a crowd, none."""
    pictures: list[tuple[list[list[int]], list[bool]]] = [
        ([[8, 8, 40, 48], [50, 10, 90, 60]], [False, False]),
        ([[4, 4, 30, 30], [40, 0, 96, 64]], [False, True]),
        ([], []),
    ]
    found = []
    for rows, crowd in pictures:
        masks = torch.zeros(len(rows), *SIZE, dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(masks, rows, strict=True):
            mask[top:bottom, left:right] = 1
        found.append(
            {
                "boxes": torch.tensor(rows, dtype=torch.float32).reshape(-1, 4),
                "labels": torch.tensor([0, 2][: len(rows)], dtype=torch.int64),
                "masks": masks,
                "crowd": torch.tensor(crowd, dtype=torch.bool),
            }
        )
    return found


def losses_of(net: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return (
        net.losses(images, targets()) if isinstance(net, MaskRcnn) else prototype_losses(net(images), targets(), SIZE)
    )


@pytest.fixture(scope="module", params=INSTANCE_MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestRegistered:
    """Every architecture there is."""

    def test_its_outputs_are_what_the_contract_says(self, name: str) -> None:
        net, output = make(name).eval(), instance_spec(name).output
        assert output in TASK_OUTPUTS["instance"]
        with torch.no_grad():
            found = net(torch.randn(1, 3, *SIZE))
        if isinstance(found, PrototypeOutput):
            assert output == "prototypes"
            candidates, prototypes = len(make_cells(SIZE).centres), found.prototypes.shape[1]
            assert found.boxes.shape == (1, candidates, 4)
            assert found.logits.shape == (1, candidates, CLASSES)
            assert found.coefficients.shape == (1, candidates, prototypes)
            assert found.prototypes.shape == (1, prototypes, 16, 24)
            assert all(part.dtype == torch.float32 for part in found)
        else:
            assert isinstance(found, DetectionOutput) and output == "detections"
            count = len(found.boxes)
            assert 1 <= count <= 4
            assert found.boxes.shape == (count, 4) and found.scores.shape == found.labels.shape == (count,)
            assert found.masks.shape == (count, 28, 28)
            assert found.labels.dtype == torch.int64 and 0 <= int(found.labels.min()) <= int(found.labels.max()) < 3
            assert torch.equal(found.scores, found.scores.sort(descending=True).values)
            assert float(found.scores.max()) <= 1 and 0 <= float(found.masks.min()) <= float(found.masks.max()) <= 1
        assert (found.boxes[..., 2:] >= found.boxes[..., :2]).all()

    def test_it_learns_from_pictures_with_crowds_and_without_objects(self, name: str) -> None:
        net = make(name).train()
        images = torch.randn(3, 3, *SIZE)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
        sums = []
        for _ in range(2 if isinstance(net, MaskRcnn) else 8):
            torch.manual_seed(0)  # torchvision draws which boxes it learns from
            terms = losses_of(net, images)
            assert all(value.shape == () and torch.isfinite(value) for value in terms.values()), terms
            total = torch.stack(list(terms.values())).sum()
            optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            idle = [key for key, value in net.named_parameters() if value.grad is None]
            assert idle == []
            assert all(torch.isfinite(value.grad).all() for value in net.parameters() if value.grad is not None)
            optimizer.step()
            sums.append(float(total.detach()))
        assert min(sums[1:]) < sums[0]

    def test_another_instance_takes_over_its_weights(self, name: str) -> None:
        net = make(name).eval()
        with torch.device("meta"):
            other = make(name).eval()
        other.load_state_dict(net.state_dict(), assign=True)
        image = torch.randn(1, 3, *SIZE)
        with torch.no_grad():
            assert all(torch.equal(mine, its) for mine, its in zip(net(image), other(image), strict=True))

    def test_any_number_of_classes(self, name: str) -> None:
        costs = [instance_cost(name, classes, SIZE) for classes in (1, 2, 80)]
        assert costs[0].parameters < costs[1].parameters < costs[2].parameters
        assert costs[0].macs < costs[1].macs < costs[2].macs
        with torch.no_grad():
            found = make(name, 1).eval()(torch.randn(1, 3, *SIZE))
        classes = found.logits.shape[-1] if isinstance(found, PrototypeOutput) else 1 + int(found.labels.max())
        assert classes == 1

    def test_its_trunk_is_where_it_says_and_all_of_it_learns(self, name: str) -> None:
        with torch.device("meta"):
            net = make(name)
        trunk = net.get_submodule(str(net.trunk))
        assert 0 < count_parameters(trunk) < count_parameters(net)
        assert all(parameter.requires_grad for parameter in net.parameters())

    def test_inputs_that_are_too_small_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"{name} needs inputs of at least 64×64, got 63×96"):
            build_instance(name, 2, (63, 96))


def test_unknown_names_are_one_line() -> None:
    with pytest.raises(ConfigError, match="'unet' tells no objects apart; choose one of yolact_mobilenet_v2, "):
        instance_spec("unet")
