"""What the formats share."""

from __future__ import annotations

from collections.abc import Iterator

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.sinks.base import Shot


def result_of(shot: Shot) -> InstanceResult:
    """Return what an instance model said. Raises OutputError for a model of another task."""
    if not isinstance(shot.result, InstanceResult):
        raise OutputError(f"objects come from models for the task instance, this one's is {shot.result.contract.task}")
    return shot.result


def objects_of(result: InstanceResult) -> Iterator[tuple[int, Region]]:
    """Yield the place and the pixels of each object that has any, the surest first."""
    for place, region in enumerate(result.regions):
        if region.area:
            yield place, region


def one_a_line(contract: Contract, table: str) -> str:
    """Return the class names, one a line. Raises OutputError for a name that takes more."""
    for name in contract.names:
        if len(name.splitlines()) != 1 or name != name.strip():
            raise OutputError(f"the class {name!r} cannot be a line of {table}; write --format coco")
    return "".join(f"{name}\n" for name in contract.names)
