from __future__ import annotations

import pytest
import torch

from edgeseg.training.machine import choose_accelerator, choose_precision
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
