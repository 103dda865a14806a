"""Quantisation-aware training: put fake quantisation where int8 engines round, and measure where to start from.

Every tensor that a convolution, a sum, a product, an average, a resize or an activation makes is rounded once, where
it is made; a rectifier is fused with what is before it. Tensors that are concatenated share one grid. The convolutions
that make the scores stay in float, and so does all that comes after them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgeseg.compress.fold import fold_batch_norm
from edgeseg.compress.observe import RangeObserver
from edgeseg.compress.operations import Kind, classify, describe, path
from edgeseg_export.exact_grids import OFF_TIES, ExactConv2d, ExactQuantizer
from edgeseg_export.fake_quantize import ActivationQuantizer
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.progress import Progress, silent

QUANTIZERS = "quantizers"
"""Name of the submodule that holds the quantisers of activations, each named after what makes the tensor."""


def prepare_qat(net: nn.Module, contract: Contract) -> nn.Module:
    """Return a copy of `net` that computes as its int8 file will, for training; `net` stays as it is.

    Of a network that has a submodule `maps` only that is rounded: it says that all its weights are there, and that what
    it does with what they give stays in float, as `edgeseg.models.instances.yolact` does. See `rounded_graph`.
    """
    maps = getattr(net, "maps", None)
    if not isinstance(maps, nn.Module):
        return rounded_graph(net, contract)
    prepared = deepcopy(net)
    prepared.maps = rounded_graph(maps, contract)
    return prepared


def rounded_graph(net: nn.Module, contract: Contract) -> fx.GraphModule:
    """Return a copy of `net` as a graph of its operations in which every tensor is rounded as int8 engines will.

    Batch normalisations are folded with their running statistics. Which modules and parameters there are depends on
    the architecture alone, so a checkpoint can be loaded into a freshly built network. The ranges are placeholders
    until `calibrate` measures them or a checkpoint is loaded; that of the input is all that the contract's
    normalisation can give. Raises ConfigError naming what cannot be quantised.
    """
    graph_module = fold_batch_norm(net)
    kinds = classify(graph_module)
    float_nodes = score_nodes(kinds)
    _forbid_inplace(graph_module)
    _round_weights(graph_module, kinds, float_nodes)
    rounded = [node for node, kind in kinds.items() if _is_rounded(node, kind, kinds) and node not in float_nodes]
    sharing = _shared_grids(rounded, kinds, float_nodes)
    names: dict[fx.Node, str] = {}
    for node in rounded:
        owner = sharing.get(node, node)
        if owner not in names:
            names[owner] = _unused_name(path(owner), names.values())
            quantizer = _input_quantizer(contract) if kinds[node] is Kind.INPUT else ExactQuantizer()
            graph_module.add_submodule(names[owner], quantizer)
        _round_output(graph_module.graph, node, names[owner], kinds[node])
    _drop_ceilings(graph_module, kinds)
    _tell_sources(graph_module, kinds)
    graph_module.graph.lint()
    graph_module.recompile()
    return graph_module.train(net.training)


def score_nodes(kinds: Mapping[fx.Node, Kind]) -> set[fx.Node]:
    """Return the last convolutions on the ways to the output and all that comes after them."""
    found: set[fx.Node] = set()
    waiting = [node for node, kind in kinds.items() if kind is Kind.OUTPUT]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source in found or kinds[source] in (Kind.NUMBER, Kind.INPUT):
                continue
            found.add(source)
            if kinds[source] is not Kind.CONVOLUTION:
                waiting.append(source)
    return found


def calibrate(net: nn.Module, batches: Iterable[Tensor], progress: Progress = silent) -> None:
    """Set the ranges of all quantisers in `net` from normalised (N, 3, H, W) float32 batches, on the device of `net`.

    Raises CalibrationError when there are no batches or a tensor holds a NaN or infinite value.
    """
    observers = {
        name: (module, RangeObserver())
        for name, module in net.named_modules()
        if isinstance(module, ActivationQuantizer) and not module.fixed
    }
    device = next(net.parameters()).device
    training = net.training
    net.eval()
    try:
        for module, observer in observers.values():
            module.observer = observer.add
        with torch.no_grad():
            for batch in progress(batches, "calibration"):
                net(batch.to(device))
                for _, observer in observers.values():
                    observer.end_batch()
    finally:
        for module, _ in observers.values():
            module.observer = None
        net.train(training)
    for name, (module, observer) in observers.items():
        low, high = observer.bounds(name.removeprefix(f"{QUANTIZERS}."))
        with torch.no_grad():
            module.low.fill_(low)
            module.high.fill_(high)


def _is_rounded(node: fx.Node, kind: Kind, kinds: Mapping[fx.Node, Kind]) -> bool:
    if kind in (Kind.CONVOLUTION, Kind.MIX, Kind.AVERAGE):
        return [kinds[user] for user in node.users] != [Kind.RECTIFIER]  # the rectifier's output is rounded instead
    return kind in (Kind.INPUT, Kind.RECTIFIER, Kind.ACTIVATION)


def _input_quantizer(contract: Contract) -> ExactQuantizer:
    low = min((0 - mean) / std for mean, std in zip(contract.mean, contract.std, strict=True))
    high = max((1 - mean) / std for mean, std in zip(contract.mean, contract.std, strict=True))
    return ExactQuantizer(low, high, fixed=True)


def _shared_grids(
    rounded: Iterable[fx.Node], kinds: Mapping[fx.Node, Kind], float_nodes: set[fx.Node]
) -> dict[fx.Node, fx.Node]:
    """Return, for each rounded node that is concatenated, the concatenation that its grid is named after.

    Concatenations that have a tensor in common share one grid: the first one's.
    """
    owners: dict[fx.Node, fx.Node] = {}
    for join in (node for node, kind in kinds.items() if kind is Kind.JOIN and node not in float_nodes):
        sources = set(_makers(join, kinds))
        if any(kinds[source] is Kind.INPUT for source in sources):
            raise ConfigError(f"operation {path(join)!r} concatenates the network's input, whose range is fixed")
        taken = {owners[source] for source in sources if source in owners}
        owner = min(taken | {join}, key=lambda node: list(kinds).index(node))
        for node in [*sources, *(node for node, other in owners.items() if other in taken)]:
            owners[node] = owner
    return {node: owners[node] for node in rounded if node in owners}


def _makers(node: fx.Node, kinds: Mapping[fx.Node, Kind]) -> Iterator[fx.Node]:
    """Yield the nodes that make the values that `node` passes on."""
    for source in node.all_input_nodes:
        if kinds[source] in (Kind.JOIN, Kind.KEEP):
            yield from _makers(source, kinds)
        elif kinds[source] is not Kind.NUMBER:
            yield source


def _round_output(graph: fx.Graph, node: fx.Node, name: str, kind: Kind) -> None:
    with graph.inserting_after(node):
        rounding = graph.call_module(name, (node, OFF_TIES) if kind is Kind.AVERAGE else (node,))
    node.replace_all_uses_with(rounding, delete_user_cb=lambda user: user is not rounding)


def _round_weights(graph_module: fx.GraphModule, kinds: Mapping[fx.Node, Kind], float_nodes: set[fx.Node]) -> None:
    for node, kind in kinds.items():
        if kind is Kind.CONVOLUTION and node not in float_nodes:
            name = str(node.target)
            conv = graph_module.get_submodule(name)
            if type(conv) is nn.Conv2d:  # a layer that is called twice was replaced before
                graph_module.add_submodule(name, ExactConv2d.of(conv))


def _forbid_inplace(graph_module: fx.GraphModule) -> None:
    """Let no operation overwrite a tensor that the backward pass of a quantiser needs."""
    for module in graph_module.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    for node in graph_module.graph.nodes:
        if "inplace" in node.kwargs:
            node.update_kwarg("inplace", False)


def _drop_ceilings(graph_module: fx.GraphModule, kinds: Mapping[fx.Node, Kind]) -> None:
    """Make ReLUs of ReLU6s whose output has a grid of its own: its end takes the place of the 6.

    No power of two ends at 6, and a clip that is not the grid's own stands between an int8 convolution and its
    rounding.
    """
    modules = dict(graph_module.named_modules())
    uses = Counter(node.target for node in graph_module.graph.nodes if node.op == "call_module")
    for node in (node for node, kind in kinds.items() if kind is Kind.RECTIFIER):
        rounding = next(iter(node.users))
        called = modules[str(node.target)] if node.op == "call_module" else None
        quantizer = modules.get(str(rounding.target))
        if not (type(called) is nn.ReLU6 or node.target is F.relu6) or not isinstance(quantizer, ExactQuantizer):
            continue
        if uses[rounding.target] > 1 or (called is not None and uses[node.target] > 1):
            continue
        quantizer.ceiling = 6.0
        if called is not None:
            graph_module.add_submodule(str(node.target), nn.ReLU())
        else:
            node.target = F.relu


def _tell_sources(graph_module: fx.GraphModule, kinds: Mapping[fx.Node, Kind]) -> None:
    """Tell each rounded convolution which quantiser its input comes from. Raises ConfigError if from none."""
    modules = dict(graph_module.named_modules())
    quantizers: dict[fx.Node, ActivationQuantizer] = {}
    for node in graph_module.graph.nodes:
        sources = [source for source in node.all_input_nodes if kinds.get(source) is not Kind.NUMBER]
        whole = all(source in quantizers for source in sources)
        module = modules[str(node.target)] if node.op == "call_module" else None
        if isinstance(module, ExactConv2d):
            if not whole:
                raise ConfigError(f"{describe(node, modules)} reads what a convolution of the scores makes, in float")
            module.read_from(quantizers[sources[0]])
        if isinstance(module, ActivationQuantizer):
            quantizers[node] = module
        elif kinds.get(node) in (Kind.KEEP, Kind.JOIN) and whole:
            quantizers[node] = quantizers[sources[0]]


def _unused_name(wanted: str, taken: Iterable[str]) -> str:
    base = f"{QUANTIZERS}.{wanted.replace('.', '_')}"
    names = set(taken)
    name, number = base, 1
    while name in names:
        name, number = f"{base}_{number}", number + 1
    return name
