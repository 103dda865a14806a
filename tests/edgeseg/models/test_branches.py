"""Branches of training: what they add up to is the network that was built."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu
from edgeseg.models.branches import Branched, fold_branches, grow_branches
from edgeseg.models.bricknet import TINY, BrickNet
from edgeseg.models.ddrnet import DdrNet23Slim


def learn(net: nn.Module, steps: int = 3) -> None:
    """Move every weight and every running statistic."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    net.train()
    for _ in range(steps):
        loss = net(torch.randn(4, 3, 64, 64)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_a_branched_brick_by_hand() -> None:
    torch.manual_seed(0)
    block = Branched(ConvBnRelu(5, 5)).eval()
    features = torch.randn(2, 5, 7, 6)
    with torch.no_grad():
        wide = F.conv2d(features, block.wide.weight, padding=1)
        narrow = torch.einsum("oi,nihw->nohw", block.narrow.weight[:, :, 0, 0], features)
        expected = block.norm(block.wide_norm(wide) + narrow + features).clamp_min(0)
        torch.testing.assert_close(block(features), expected)


def test_folded_it_is_the_network_that_was_built_and_computes_what_was_learnt() -> None:
    torch.manual_seed(0)
    built = BrickNet(5, TINY)
    branched = grow_branches(built)
    learn(branched)
    folded = fold_branches(branched.eval())
    assert not any(isinstance(module, Branched) for module in folded.modules())
    assert {key: value.shape for key, value in folded.state_dict().items()} == {
        key: value.shape for key, value in built.state_dict().items()
    }
    built.load_state_dict(folded.state_dict())
    image = torch.randn(2, 3, 70, 90)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), branched(image), atol=1e-5, rtol=1e-5)
        assert torch.equal(built.eval()(image), folded(image))


def test_only_bricks_that_keep_their_shape_branch() -> None:
    branched = grow_branches(BrickNet(5, TINY))
    found = {name for name, module in branched.named_modules() if isinstance(module, Branched)}
    assert found == {"stage8.1", "stage16.1", "stage32.1", "climb16.brick", "climb8.brick", "climb4.brick"}


@pytest.mark.parametrize("trained", [True, False])
def test_folding_keeps_the_mode_and_the_branches_of_the_original(trained: bool) -> None:
    branched = grow_branches(BrickNet(2, TINY)).train(trained)
    before = {key: value.clone() for key, value in branched.state_dict().items()}
    folded = fold_branches(branched)
    assert {module.training for module in folded.modules()} == {trained}
    assert all(torch.equal(value, before[key]) for key, value in branched.state_dict().items())
    assert any(isinstance(module, Branched) for module in branched.modules())


def test_networks_that_do_not_ask_get_none() -> None:
    net = DdrNet23Slim(3)
    assert [name for name, _ in grow_branches(net).named_modules()] == [name for name, _ in net.named_modules()]
    assert fold_branches(net) is net


def test_every_branch_learns() -> None:
    torch.manual_seed(0)
    branched = grow_branches(BrickNet(3, TINY)).train()
    scores: Tensor = branched(torch.randn(2, 3, 64, 64))
    scores.square().mean().backward()  # type: ignore[no-untyped-call]
    assert [name for name, value in branched.named_parameters() if value.grad is None or not value.grad.any()] == []
