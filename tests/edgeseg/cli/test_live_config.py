from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.cli.live_config import LiveConfig
from edgeseg.cli.live_controls import short_names
from edgeseg_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [("10GB", 10_000_000_000), ("1.5 MB", 1_500_000), ("800kB", 800_000), ("12B", 12), ("2TB", 2 * 10**12)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert LiveConfig(record=Path("rec"), record_quota=text).quota_bytes() == size
    assert LiveConfig().quota_bytes() is None


@pytest.mark.parametrize("text", ["", "10", "GB", "-1GB", "0GB", "1gb", "1e3GB", "nan GB", "0.1B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--record-quota is a size"):
        LiveConfig(record=Path("rec"), record_quota=text)


def test_the_flags_that_were_given_are_named() -> None:
    assert LiveConfig().named() == []
    assert LiveConfig(every_frame=True, web="8080", blur=("car",)).named() == ["--every-frame", "--web", "--blur"]


def test_models_have_the_shortest_names_that_tell_them_apart(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a/int8/model.xml", "b/int8/model.xml", "b/float/model.xml"))
    assert short_names([first]) == ["model.xml"]
    assert short_names([second, third]) == ["int8/model.xml", "float/model.xml"]
    assert short_names([first, second, third]) == ["a/int8/model.xml", "b/int8/model.xml", "b/float/model.xml"]
    with pytest.raises(ConfigError, match="named twice"):
        short_names([first, tmp_path / "a" / ".." / "a" / "int8" / "model.xml"])
