"""Checks of flags that several verbs have."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.machine import usable_cores


def check_seconds(seconds: float) -> None:
    """Raise ConfigError unless measuring for so long takes some time, and ends."""
    if not 0 < seconds < inf:
        raise ConfigError(f"--seconds must be more than 0 and not endless, got {seconds:g}")


def check_cores(threads: Iterable[int]) -> None:
    """Raise ConfigError for a number of threads below 1, or that this machine has no cores for."""
    cores = usable_cores()
    for count in threads:
        if count < 1:
            raise ConfigError(f"--threads must be 1 or more, got {count}")
        if count > cores:
            raise ConfigError(f"--threads {count}: there are {cores} cores here")
