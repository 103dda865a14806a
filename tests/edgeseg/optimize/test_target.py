from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeseg.optimize.space import Space, Trial, Variant
from edgeseg.optimize.target import Scaled, read_profile
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from tests.edgeseg.optimize.conftest import FakeWorkshop

VARIANTS = Space().variants({"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")})


def row(name: str, engine: str, precision: str, threads: int, ms: float, **changes: Any) -> dict[str, Any]:
    suffix = "xml" if name.startswith("openvino") else "onnx"
    return {
        "name": name,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "file": f"x/{name}/model.{suffix}",
        "p50_ms": ms,
    } | changes


ROWS = [
    row("fast_scnn", "pytorch", "float32", 1, 99.0, file=None),
    row("onnx-float32", "onnxruntime", "float32", 1, 30.0),
    row("onnx-float32", "openvino", "float32", 1, 77.0),
    row("openvino-float32", "openvino", "float32", 1, 40.0),
    row("openvino-int8", "openvino", "int8", 1, 10.0),
    row("openvino-int8", "openvino", "int8", 4, 3.0),
]


def write(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps({"schema": 1, "machine": {"cpu": {"model": "Small Board"}}, "rows": rows}))
    return path


def test_a_profile_keeps_files_in_the_engine_they_are_made_for(tmp_path: Path) -> None:
    profile = read_profile(write(tmp_path / "bench.json", ROWS))
    assert profile.machine == "Small Board"
    assert profile.latency_ms == {
        ("float32", "onnxruntime", 1): 30.0,
        ("float32", "openvino", 1): 40.0,
        ("int8", "openvino", 1): 10.0,
        ("int8", "openvino", 4): 3.0,
    }
    assert profile.holds(Trial(Variant(0.5, 0.3, "qat", "openvino"), 4)), "QAT files are int8 files"
    assert not profile.holds(Trial(Variant(1.0, 0.0, "bf16", "openvino"), 1))
    mixed = Variant(0.5, 0.3, "mixed", "openvino")
    assert profile.holds(Trial(mixed, 1)) and not profile.holds(Trial(mixed, 4)), "float32 was not run on 4 threads"


def test_latencies_are_scaled_by_the_ratio_of_like_files(fake_workshop: type[FakeWorkshop], tmp_path: Path) -> None:
    mixed = Variant(1.0, 0.0, "mixed", "openvino", float_layers=3)
    files = [*VARIANTS, mixed]
    here = {Trial(v, 1): (8.0 if v.precision == "float32" else 5.0) * v.resolution for v in files}
    profile = read_profile(write(tmp_path / "bench.json", ROWS))

    class Forgetful(fake_workshop):  # type: ignore[valid-type,misc]
        """Answers the same question again, as a journal does."""

        def _call(self, step: str, about: object) -> None:
            pass

    scaled = Scaled(Forgetful(here, dict.fromkeys(VARIANTS, 0.5)), profile)
    plain, small = Variant(1.0, 0.0, "float32", "openvino"), Variant(0.5, 0.3, "float32", "openvino")
    assert scaled.latency(Trial(plain, 1)) == pytest.approx(40.0), "what the profile says of the same file"
    assert scaled.latency(Trial(small, 1)) == pytest.approx(20.0)
    assert scaled.latency(Trial(Variant(0.5, 0.0, "qat", "openvino"), 1)) == pytest.approx(5.0)
    assert scaled.latency(Trial(mixed, 1)) == pytest.approx(25.0), "5 times, as float32, and not twice, as int8"
    assert scaled.confirm(Trial(small, 1)).latency_ms == pytest.approx(20.0)
    assert scaled.score(small) == 0.5 and scaled.original() == 0.7


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no .xml file run in openvino"),
        ([ROWS[0]], "holds no .xml file run in openvino"),
        ([ROWS[1], ROWS[1]], "several files are float32 in onnxruntime on 1 threads"),
        ([ROWS[1] | {"p50_ms": 0}], "p50_ms is 0"),
        ([{"name": "x"}], r"is not what `edgeseg bench --json` prints .* \(it has no 'file'\)"),
        (3, "is not what `edgeseg bench --json` prints"),
    ],
)
def test_what_is_no_profile_is_refused(rows: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        read_profile(write(tmp_path / "bench.json", rows))


def test_a_missing_or_unreadable_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--target .*bench.json cannot be read"):
        read_profile(tmp_path / "bench.json")
    (tmp_path / "bench.json").write_text("{")
    with pytest.raises(ConfigError, match="is not what"):
        read_profile(tmp_path / "bench.json")
