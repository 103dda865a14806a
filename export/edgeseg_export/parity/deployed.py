"""The artifact's side of a comparison: the file on disk, run as a device runs it."""

from __future__ import annotations

from edgeseg_export.parity.pictures import Path
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Segmenter


def deployed_path(segmenter: Segmenter, original: Contract) -> Path:
    """Return the artifact's whole path, by the contract that the file itself carries.

    Raises GateFailed when that contract names other classes. Every other difference of contracts shows in the masks and
    is left for them to show.
    """
    check_labels(segmenter, original)

    def path(frame: Image) -> Mask:
        return segmenter(frame).mask

    return path


def check_labels(segmenter: Segmenter, original: Contract) -> None:
    """Raise GateFailed for a file that names other classes, or in another order: equal numbers of unequal meaning."""
    theirs, ours = segmenter.contract.names, original.names
    if theirs != ours:
        pairs = [(index, mine, other) for index, (mine, other) in enumerate(zip(ours, theirs, strict=False))]
        index, mine, other = next((pair for pair in pairs if pair[1] != pair[2]), (min(len(ours), len(theirs)), "", ""))
        detail = f"class {index} is {other!r}, the original's is {mine!r}" if mine else f"{len(theirs)} classes"
        raise GateFailed(f"{segmenter.path} does not know the original's {len(ours)} classes: {detail}")
