from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeseg.models import build
from edgeseg.models.branches import fold_branches, grow_branches
from edgeseg.training.machine import choose_accelerator, choose_precision, share_batch_statistics
from edgeseg_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("device", "card", "chosen"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_the_processor(monkeypatch: pytest.MonkeyPatch, device: str, card: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(card))
    assert choose_accelerator(device) == chosen


def test_more_cards_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_accelerator("cpu", devices=2) == "cpu"
    with pytest.raises(ConfigError, match=r"--devices 2: PyTorch sees 1 CUDA card\(s\) here"):
        choose_accelerator("auto", devices=2)


def test_a_card_that_is_not_there_is_never_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="PyTorch sees no CUDA card here; use --device cpu or auto"):
        choose_accelerator("cuda")


@pytest.mark.parametrize(("precision", "chosen"), [("float32", "32-true"), ("bf16", "bf16-mixed")])
@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_a_precision_asked_for_is_taken(precision: str, chosen: str, accelerator: str) -> None:
    assert choose_precision(precision, accelerator) == chosen


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_bf16_only_where_a_card_has_it(monkeypatch: pytest.MonkeyPatch, has: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has)
    assert choose_precision("auto", "cuda") == chosen


def test_auto_on_the_processor_is_what_the_kernels_say() -> None:
    native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert choose_precision("auto", "cpu") == ("bf16-mixed" if native else "32-true")


CARD, PROCESSOR = torch.device("cuda", 0), torch.device("cpu")


@pytest.mark.parametrize(
    ("setting", "processes", "device"), [("auto", 1, CARD), ("auto", 2, PROCESSOR), ("off", 2, CARD)]
)
def test_statistics_stay_each_processs_own(setting: str, processes: int, device: torch.device) -> None:
    net = build("fast_scnn", 3, (64, 64))
    assert share_batch_statistics(net, setting, processes, device) is net
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in net.modules())


@pytest.mark.parametrize("name", ["fast_scnn", "bricknet_t", "lraspp_mobilenet_v3_large"])
def test_several_cards_share_statistics_under_the_same_names(name: str) -> None:
    torch.manual_seed(0)
    net = grow_branches(build(name, 3, (64, 64)))
    net(torch.randn(4, 3, 64, 64))  # statistics that differ from channel to channel
    net.eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before, scores = {key: value.clone() for key, value in net.state_dict().items()}, net(image)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    parameters = dict(net.named_parameters())

    shared = share_batch_statistics(net, "auto", 2, CARD)

    assert sum(isinstance(module, nn.SyncBatchNorm) for module in shared.modules()) == norms > 0
    assert not any(isinstance(module, nn.BatchNorm2d) for module in shared.modules())
    assert all(parameters[key] is value for key, value in shared.named_parameters())  # what is learnt is the same
    assert list(shared.state_dict()) == list(before)
    assert all(torch.equal(shared.state_dict()[key], value) for key, value in before.items())
    with torch.no_grad():
        assert torch.equal(shared(image), scores)
    # what is saved is the network as it is built, branches folded
    build(name, 3, (64, 64)).load_state_dict(fold_branches(shared).state_dict())
