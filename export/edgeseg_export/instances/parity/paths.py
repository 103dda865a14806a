"""Both sides of a comparison: the original in PyTorch, and the file on disk, run as a device runs it."""

from __future__ import annotations

from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_export.instances.parity.objects import FLOOR, InstancePath, Seen
from edgeseg_export.parity.deployed import check_labels
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.engines.base import Raw
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter


class TwoDecoders:
    """Decodes what a model gives for a picture twice: by its contract, and from FLOOR on."""

    def __init__(self, contract: Contract) -> None:
        selection = contract.selection
        assert selection is not None
        self._shown = InstanceDecoder(contract)
        self._all = InstanceDecoder(contract, [min(FLOOR, value) for value in selection.thresholds])

    def __call__(self, outputs: Raw, height: int, width: int) -> Seen:
        """Return what is seen on a `height`×`width` frame."""
        return Seen(self._shown(outputs, height, width), self._all(outputs, height, width))


def original_path(module: InstanceDeployable) -> InstancePath:
    """Return the path of a PyTorch module."""
    segmenter, decode = TorchInstanceSegmenter(module), TwoDecoders(module.contract)

    def path(frame: Image) -> Seen:
        return decode(segmenter.outputs(frame), frame.shape[0], frame.shape[1])

    return path


def deployed_objects(segmenter: Segmenter, original: Contract) -> InstancePath:
    """Return the artifact's whole path, by the contract that the file itself carries.

    Raises GateFailed when that contract names other classes, or selects objects in another way: on pictures that
    nobody has looked at, other objects would be shown. Every other difference of contracts shows in the objects.
    """
    check_labels(segmenter, original)
    if segmenter.contract.task != "instance":
        raise GateFailed(f"{segmenter.path} tells no objects apart, the original does")
    if segmenter.contract.selection != original.selection:
        raise GateFailed(
            f"{segmenter.path} selects objects by {segmenter.contract.selection}, the original by {original.selection}"
        )
    return measured_path(segmenter)


def measured_path(segmenter: Segmenter) -> InstancePath:
    """Return the artifact's whole path, whatever its contract says."""
    lane, decode = segmenter.lane(), TwoDecoders(segmenter.contract)

    def path(frame: Image) -> Seen:
        return decode(lane.infer(lane.preprocess(frame)), frame.shape[0], frame.shape[1])

    return path
