"""The flags that follow a stream's objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from edgeseg.cli.stream_groups import OBJECTS
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.instances.lines import CountLine


@Parameter(name="*", group=OBJECTS)
@dataclass(frozen=True)
class ObjectConfig:
    """What is known of objects over time, with models that find such."""

    track: bool = False
    """Give each object an id that it keeps from frame to frame; with --zones also count who is in which."""
    count_line: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """NAME=x0,y0,x1,y1, ends in 0..1: count who walks over it, in from its left hand to its right. Repeatable."""

    def __post_init__(self) -> None:
        if self.count_line:
            from edgeseg_runtime.instances.lines import check_lines

            check_lines(self.lines)

    @property
    def lines(self) -> tuple[CountLine, ...]:
        """The lines. Raises ConfigError."""
        from edgeseg_runtime.instances.lines import CountLine

        return tuple(CountLine.parse(text) for text in self.count_line)

    @property
    def followed(self) -> bool:
        """Whether objects are given ids: counting needs them."""
        return self.track or bool(self.count_line)

    @property
    def flag(self) -> str:
        """The flag that asked for it."""
        return "--track" if self.track else "--count-line"


def check_objects(flags: list[str], contract: Contract, model: Path) -> None:
    """Raise ConfigError where flags need objects and the model finds none."""
    if flags and contract.task != "instance":
        raise ConfigError(f"{flags[0]} is about objects, and {model} only tells classes; it needs an instance model")
