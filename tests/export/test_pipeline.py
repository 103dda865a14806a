from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeseg_export import pipeline
from edgeseg_export.artifact import Artifact
from edgeseg_export.artifacts import Calibration, package_versions
from edgeseg_export.calibration import audit, facts
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.faults import plant, swap_labels
from edgeseg_export.parity.gate import MaskGate
from edgeseg_export.parity.thresholds import Overrides
from edgeseg_export.pipeline import Bound, ExportPlan, export_model
from edgeseg_export.place import MANIFEST, PARITY, REPORT
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.engines import ENGINES
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.segmenter import REJECTED, Segmenter, model_file

FACTS = {"checkpoint": "best.safetensors", "command": "edgeseg export"}
LOOSE = Overrides(0.9, 0.8, 0.7, 10, 30, 30)


def gate(trained: Any, pictures: int, overrides: Overrides | None = None) -> Callable[[], MaskGate]:
    """The original's masks of the first pictures."""

    def make() -> MaskGate:
        chosen = trained.reference.pictures[:pictures]
        reference = Reference.of(TorchSegmenter(trained.module), chosen, trained.module.contract)
        return MaskGate(reference, overrides or Overrides())

    return make


@pytest.fixture(scope="module")
def calibration(trained: Any) -> Calibration:
    measured = facts(trained.calibration, None, 0)
    names = tuple(f"picture {index}" for index in range(len(trained.calibration)))
    return Calibration("pictures of a test", 5, names, trained.calibration, audit(measured, measured, ()))


@pytest.fixture(scope="module")
def exported(trained: Any, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "export"
    plan = ExportPlan(gate(trained, 12, LOOSE), calibration)
    export_model(trained.module, out, plan, FACTS, report=lambda _: None)
    return out


def has_bf16() -> bool:
    return "bf16" in ENGINES["openvino"].capabilities().precisions


def promised() -> set[str]:
    ir = ["openvino-float32", "openvino-int8", *(["openvino-bf16"] if has_bf16() else [])]
    models = {f"onnx-{precision}/model.onnx" for precision in ("float32", "int8")}
    return models | {f"{name}/model.{suffix}" for name in ir for suffix in ("xml", "bin")}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class TestWhatAnExportLeaves:
    def test_exactly_the_promised_files(self, exported: Path) -> None:
        assert files(exported) == promised() | {MANIFEST, PARITY, REPORT}
        assert [path.name for path in exported.parent.iterdir()] == ["export"]

    def test_the_manifest_holds_every_files_hash(self, exported: Path) -> None:
        manifest = json.loads((exported / MANIFEST).read_text(encoding="utf-8"))
        written = {name: facts for item in manifest["artifacts"] for name, facts in item["files"].items()}
        assert written.keys() == promised()
        for name, fact in written.items():
            data = (exported / name).read_bytes()
            assert fact == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        assert all(item["passed"] for item in manifest["artifacts"])

    def test_the_manifest_says_how_to_make_it_again(self, exported: Path, trained: Any) -> None:
        manifest = json.loads((exported / MANIFEST).read_text(encoding="utf-8"))
        assert manifest["facts"] == FACTS
        assert manifest["packages"] == package_versions()
        assert "not installed" not in manifest["packages"].values()
        assert Contract.from_json(manifest["contract"]) == trained.module.contract
        assert manifest["calibration"]["seed"] == 5
        assert manifest["calibration"]["pictures"][:2] == ["picture 0", "picture 1"]

    def test_parity_holds_a_verdict_for_every_artifact(self, exported: Path) -> None:
        found = json.loads((exported / PARITY).read_text(encoding="utf-8"))
        assert set(found) == {name.split("/")[0] for name in promised()}
        for name, entry in found.items():
            assert entry["verdict"]["passed"] is True
            assert entry["pictures"] == 12
            assert entry["agreement"]["mean"] >= (0.9999 if name.endswith("float32") else 0.97)

    def test_every_artifact_loads_and_says_its_precision(self, exported: Path) -> None:
        for folder in (path for path in exported.iterdir() if path.is_dir()):
            assert Segmenter.load(folder).precision == folder.name.split("-")[1]

    def test_the_report_names_every_artifact(self, exported: Path) -> None:
        page = (exported / REPORT).read_text(encoding="utf-8")
        assert all(name.split("/")[0] in page for name in promised())


@pytest.fixture
def build(trained: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces the building of artifacts by the steps in `build["steps"]`."""
    wanted: dict[str, Any] = {"steps": []}

    def artifacts(module: Any, folder: Path, *_: Any) -> Iterator[Artifact]:
        for step in wanted["steps"]:
            if isinstance(step, BaseException):
                raise step
            path = folder / step / "model.onnx"
            path.parent.mkdir()
            if step.startswith("faulty"):
                plant(trained.onnx, path, swap_labels)
            else:
                shutil.copy(trained.onnx, path)
            yield Artifact(step, path, "float32")

    monkeypatch.setattr(pipeline, "build_artifacts", artifacts)
    return wanted


def export(trained: Any, out: Path, said: list[str] | None = None) -> None:
    plan = ExportPlan(gate(trained, 6))
    export_model(trained.module, out, plan, FACTS, report=(said if said is not None else []).append)


class TestRefusal:
    def test_a_faulty_file_lies_only_among_the_rejected(
        self, trained: Any, build: dict[str, Any], tmp_path: Path
    ) -> None:
        build["steps"] = ["good", "faulty"]
        said: list[str] = []
        with pytest.raises(GateFailed, match="1 of 2 files do not draw the original's masks") as caught:
            export(trained, tmp_path / "export", said)
        assert "faulty: pixel agreement, mean over pictures: 0." in str(caught.value)
        assert str(tmp_path / "export" / REJECTED) in str(caught.value)
        assert files(tmp_path / "export") == {
            "good/model.onnx", f"{REJECTED}/faulty/model.onnx", MANIFEST, PARITY, REPORT
        }  # fmt: skip
        manifest = json.loads((tmp_path / "export" / MANIFEST).read_text(encoding="utf-8"))
        assert {item["name"]: item["passed"] for item in manifest["artifacts"]} == {"good": True, "faulty": False}
        (name,) = manifest["artifacts"][1]["files"]
        assert name == f"{REJECTED}/faulty/model.onnx"
        assert model_file(tmp_path / "export" / "good").name == "model.onnx"
        assert any(line.startswith("faulty: fail") for line in said)

    def test_what_is_made_of_a_refused_file_is_made_nevertheless(
        self, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def artifacts(module: Any, folder: Path, *_: Any) -> Iterator[Artifact]:
            source, copy = folder / "faulty" / "model.onnx", folder / "copy" / "model.onnx"
            for path in (source, copy):
                path.parent.mkdir()
            plant(trained.onnx, source, swap_labels)
            yield Artifact("faulty", source, "float32")
            shutil.copy(source, copy)
            yield Artifact("copy", copy, "float32")

        monkeypatch.setattr(pipeline, "build_artifacts", artifacts)
        with pytest.raises(GateFailed, match="2 of 2 files"):
            export(trained, tmp_path / "export")
        rejected = {f"{REJECTED}/{name}/model.onnx" for name in ("faulty", "copy")}
        assert files(tmp_path / "export") == {*rejected, MANIFEST, PARITY, REPORT}

    @pytest.mark.parametrize(
        ("step", "given", "told"),
        [
            ("faulty-int8", {}, True),
            ("faulty-int8", {"bound": Bound(0.5, Path("never"))}, False),  # layers were put back already
            ("faulty-int8", {"calibration": None}, False),  # trained for int8: no float file to put layers back to
            ("faulty-float32", {}, False),
        ],
    )
    def test_what_helps_against_a_refused_int8_is_said(
        self, trained: Any, build: dict[str, Any], calibration: Calibration, tmp_path: Path,
        step: str, given: dict[str, Any], told: bool,
    ) -> None:  # fmt: skip
        build["steps"] = ["good-int8", step]
        plan = replace(ExportPlan(gate(trained, 6), calibration), **given)
        with pytest.raises(GateFailed) as caught:
            export_model(trained.module, tmp_path / "export", plan, FACTS, report=lambda _: None)
        assert ("--max-drop" in str(caught.value), "--qat" in str(caught.value)) == (told, told)

    def test_a_folder_offers_only_what_passed(self, trained: Any, build: dict[str, Any], tmp_path: Path) -> None:
        build["steps"] = ["faulty"]
        with pytest.raises(GateFailed, match="1 of 1 files"):
            export(trained, tmp_path / "export")
        with pytest.raises(Exception, match=r"holds no \.onnx or \.xml model"):
            model_file(tmp_path / "export")

    def test_a_new_export_replaces_the_old_one_whole(self, trained: Any, build: dict[str, Any], tmp_path: Path) -> None:
        build["steps"] = ["faulty"]
        with pytest.raises(GateFailed):
            export(trained, tmp_path / "export")
        build["steps"] = ["good"]
        export(trained, tmp_path / "export")
        assert files(tmp_path / "export") == {"good/model.onnx", MANIFEST, PARITY, REPORT}

    @pytest.mark.parametrize("reason", [KeyboardInterrupt(), RuntimeError("the disk is on fire")])
    def test_an_interrupted_export_leaves_the_old_one(
        self, trained: Any, build: dict[str, Any], tmp_path: Path, reason: BaseException
    ) -> None:
        build["steps"] = ["good"]
        export(trained, tmp_path / "export")
        before = {name: (tmp_path / "export" / name).read_bytes() for name in files(tmp_path / "export")}
        build["steps"] = ["another", reason]
        with pytest.raises(type(reason)):
            export(trained, tmp_path / "export")
        assert [path.name for path in tmp_path.iterdir()] == ["export"]
        assert {name: (tmp_path / "export" / name).read_bytes() for name in files(tmp_path / "export")} == before
