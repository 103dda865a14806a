from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg.data.open import open_data
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, Mask

if TYPE_CHECKING:
    from tests.conftest import TinyModel


@pytest.fixture
def model(tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel) -> str:
    return str(tiny_model(colour_contract, tmp_path / "model.onnx"))


def stripes(height: int, width: int, turn: int = 0) -> tuple[Image, Mask]:
    """A picture in three upright stripes and its mask; stripes a third of the width, so that scaling keeps them."""
    mask = np.repeat(np.arange(3, dtype=np.uint8), width // 3)[None].repeat(height, 0)
    mask = (mask + turn) % 3
    image = np.full((height, width, 3), 20, np.uint8)
    for index in range(3):
        image[..., 2 - index][mask == index] = 240
    return image, mask


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Mask]:
    """Three pictures in tmp_path/pictures, of several kinds and sizes; their masks by stem."""
    (tmp_path / "pictures").mkdir()
    truth = {}
    for turn, (name, size) in enumerate({"a.png": (24, 33), "b.bmp": (48, 66), "c.jpg": (96, 384)}.items()):
        image, truth[name[0]] = stripes(*size, turn)
        cv2.imwrite(str(tmp_path / "pictures" / name), image)
    return truth


def read_mask(path: Path) -> Mask:
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert mask.ndim == 2
    return mask.astype(np.uint8)


def test_every_picture_gets_a_mask_of_its_own_size(tmp_path: Path, model: str, pictures: dict[str, Mask]) -> None:
    out = tmp_path / "masks"
    assert run(["predict", model, str(tmp_path / "pictures"), "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["a.png", "b.png", "c.png", "classes.csv"]
    for stem, truth in pictures.items():
        mask = read_mask(out / f"{stem}.png")
        assert mask.shape == truth.shape
        # two borders between stripes, each a pixel of the 32-pixel input wide
        assert (mask != truth).mean() < 2.5 / 32


def test_overlays_show_the_picture_under_its_classes(tmp_path: Path, model: str, pictures: dict[str, Mask]) -> None:
    out = tmp_path / "masks"
    flags = ["--overlay", "--opacity", "1"]
    assert run(["predict", model, str(tmp_path / "pictures" / "b.bmp"), "--out", str(out), *flags]) == 0
    overlay = cv2.imread(str(out / "b.overlay.jpg"))
    assert overlay is not None
    blue = overlay[:, 50:][:, :8]  # picture b's stripes are classes 1, 2, 0; at opacity 1 the last is pure red
    assert np.abs(blue.astype(int) - [0, 0, 255]).mean() < 6


def test_what_is_written_can_be_read_back_as_a_data_set(
    tmp_path: Path, model: str, pictures: dict[str, Mask], colour_contract: Contract
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "pictures").rename(data / "images")
    assert run(["predict", model, str(data / "images"), "--out", str(data / "masks")]) == 0
    (data / "masks" / "classes.csv").rename(data / "classes.csv")
    read = open_data(str(data), "all")
    assert read.labels == colour_contract.labels
    assert len(read) == 3
    for index in range(3):
        np.testing.assert_array_equal(
            read.read(index).mask, read_mask(data / "masks" / f"{read.name(index)}.png"), strict=True
        )


def test_unreadable_pictures_are_named_the_others_done_and_the_code_is_2(
    tmp_path: Path, model: str, pictures: dict[str, Mask], capfd: pytest.CaptureFixture[str]
) -> None:
    whole = (tmp_path / "pictures" / "a.png").read_bytes()
    (tmp_path / "pictures" / "aa.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "pictures" / "bb.jpg").write_text("no picture")
    out = tmp_path / "masks"
    assert run(["predict", model, str(tmp_path / "pictures"), "--out", str(out), "--json"]) == 2
    told = capfd.readouterr()
    answer = json.loads(told.out)
    assert answer["written"] == 3
    assert [line.split(" ")[0] for line in answer["unreadable"]] == [
        str(tmp_path / "pictures" / name) for name in ("aa.png", "bb.jpg")
    ]
    assert all(line in told.err for line in answer["unreadable"])
    assert "2 of 5 pictures could not be read" in told.err
    assert sorted(file.name for file in out.iterdir()) == ["a.png", "b.png", "c.png", "classes.csv"]


@pytest.mark.parametrize(
    ("pictures_argument", "out", "message"),
    [
        ("pictures/*", "masks", "pictures/a.jpg and"),
        ("pictures", "pictures", "is what is being read"),
        ("pictures/b.bmp", "pictures", "is what is being read"),
        ("nothing", "masks", "there is no file or folder"),
        ("pictures/*.gif", "masks", "no picture matches"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    tmp_path: Path,
    model: str,
    pictures: dict[str, Mask],
    pictures_argument: str,
    out: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if pictures_argument.endswith("*"):
        cv2.imwrite(str(tmp_path / "pictures" / "a.jpg"), stripes(24, 33)[0])
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert run(["predict", model, f"{tmp_path}/{pictures_argument}", "--out", f"{tmp_path}/{out}"]) == 2
    assert message in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_model_without_a_contract_can_be_given_one(
    tmp_path: Path,
    model: str,
    pictures: dict[str, Mask],
    colour_contract: Contract,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import onnx

    bare = onnx.load(model)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    arguments = ["predict", str(tmp_path / "bare.onnx"), str(tmp_path / "pictures"), "--out", str(tmp_path / "m")]
    assert run(arguments) == 2
    assert "--contract" in capsys.readouterr().err
    (tmp_path / "contract.json").write_text(colour_contract.to_json())
    assert run([*arguments, "--contract", str(tmp_path / "contract.json")]) == 0
    assert read_mask(tmp_path / "m" / "a.png").shape == (24, 33)
    (tmp_path / "contract.json").write_text("{}")
    assert run([*arguments, "--contract", str(tmp_path / "contract.json")]) == 2


def test_on_a_terminal_a_bar_is_shown(
    tmp_path: Path,
    model: str,
    pictures: dict[str, Mask],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(["predict", model, str(tmp_path / "pictures"), "--out", str(tmp_path / "masks")]) == 0
    assert "pictures" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["coco", "labelme", "yolo"])
def test_formats_for_objects_are_refused_before_anything_is_written(
    tmp_path: Path, model: str, pictures: dict[str, Mask], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "masks"
    assert run(["predict", model, str(tmp_path / "pictures"), "--out", str(out), "--format", form]) == 2
    assert f"--format {form} is for models that find objects" in capsys.readouterr().err
    assert not out.exists()


def test_png_is_what_is_written_anyway(tmp_path: Path, model: str, pictures: dict[str, Mask]) -> None:
    for out, flags in (("one", []), ("other", ["--format", "png"])):
        assert run(["predict", model, str(tmp_path / "pictures"), "--out", str(tmp_path / out), *flags]) == 0
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("one", "other"))
    assert one == other
