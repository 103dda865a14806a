from __future__ import annotations

from math import inf, nan

import pytest

from edgeseg.cli.flag_checks import check_cores, check_seconds
from edgeseg_runtime.errors import ConfigError


def test_seconds_that_take_some_time_and_end() -> None:
    check_seconds(0.02)
    for wrong in (0.0, -1.0, inf, nan):
        with pytest.raises(ConfigError, match=rf"--seconds must be more than 0 and not endless, got {wrong:g}"):
            check_seconds(wrong)


def test_threads_that_there_are_cores_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.cli.flag_checks.usable_cores", lambda: 2)
    check_cores([])
    check_cores([1, 2])
    with pytest.raises(ConfigError, match="--threads 3: there are 2 cores here"):
        check_cores([1, 3, 4])
    for wrong in (0, -1):
        with pytest.raises(ConfigError, match=f"--threads must be 1 or more, got {wrong}"):
            check_cores([1, wrong])
