"""From a network to a plain graph of its operations, its batch normalisations folded into the convolutions before."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgeseg.models.blocks import pool_to
from edgeseg_runtime.errors import ConfigError


class _Tracer(fx.Tracer):
    """Keeps the path of the module it is in, for the error message.

    `pool_to` stays one operation, since the graph it stands for depends on whether the size is left open.
    """

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(pool_to,))
        self.path: list[str] = []

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        self.path.append(self.path_of_module(m))
        result = super().call_module(m, forward, args, kwargs)
        self.path.pop()  # not after an error: the path then tells where it happened
        return result


def trace(net: nn.Module) -> fx.GraphModule:
    """Return a copy of `net` as a graph of calls, under the same names.

    Raises ConfigError naming the layer whose Python depends on the values or the size of its input.
    """
    tracer = _Tracer()
    copy = deepcopy(net)
    try:
        graph = tracer.trace(copy)
    except (TraceError, TypeError, RuntimeError) as error:
        where = f"layer {tracer.path[-1]!r}" if tracer.path else "forward method"
        raise ConfigError(
            f"{type(net).__name__} cannot be made a graph of operations, because of its {where}: {error}"
        ) from error
    return fx.GraphModule(copy, graph, type(net).__name__).train(net.training)


def fold_batch_norm(net: nn.Module) -> fx.GraphModule:
    """Return a traced copy of `net` whose convolutions hold the batch normalisations that followed them.

    w' = w · γ / √(σ² + ε), b' = (b - μ) · γ / √(σ² + ε) + β with the running mean μ and variance σ², as the deployed
    graph computes (Jacob et al., arXiv:1712.05877, section 3.2). A batch normalisation that does not directly and alone
    follow a convolution stays. Raises ConfigError as `trace`.
    """
    graph_module = trace(net)
    modules = dict(graph_module.named_modules())
    calls = [node.target for node in graph_module.graph.nodes if node.op == "call_module"]
    for node in list(graph_module.graph.nodes):
        before = node.args[0] if node.op == "call_module" else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        conv, norm = modules[str(before.target)], modules[str(node.target)]
        if type(conv) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
            continue
        if calls.count(before.target) > 1 or calls.count(node.target) > 1:
            continue
        folded = fuse_conv_bn_eval(conv.eval(), norm.eval()).train(net.training)
        folded.requires_grad_(conv.weight.requires_grad)  # a bias that was not there before would be made not to learn
        graph_module.add_submodule(str(before.target), folded)
        node.replace_all_uses_with(before)
        graph_module.graph.erase_node(node)
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module
