"""torchvision fetches from a server of this machine what the test packs."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.data.download import BY_HAND, DOWNLOADS, download
from edgeseg.data.open import FORMATS, open_data, splits
from edgeseg_runtime.errors import ConfigError, DatasetError, MissingExtraError, OutputError
from tests.edgeseg.data.samples import rows, write, write_mask, write_picture

TRIMAP = rows("12", "31")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join(5)


def pack(source: Path, archive: Path, mode: Any) -> str:
    """Pack a folder's content; return the checksum."""
    with tarfile.open(archive, mode) as tar:
        for path in sorted(source.iterdir()):
            tar.add(path, path.name)
    return hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def pets(tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The served folder, with a small set of pets in place of the real one."""
    datasets = pytest.importorskip("torchvision.datasets")
    folder, address = server
    made = tmp_path / "made"
    for name in ("pug_1", "pug_2"):
        write_picture(made / f"pictures/images/{name}.jpg", *TRIMAP.shape)
        write_mask(made / f"truth/annotations/trimaps/{name}.png", TRIMAP)
    for split in ("trainval", "test"):
        write(made / f"truth/annotations/{split}.txt", "pug_1 1 1 1\npug_2 1 1 1\n")
    files = [(made / "pictures", folder / "images.tar.gz"), (made / "truth", folder / "annotations.tar.gz")]
    resources = [(f"{address}/{archive.name}", pack(source, archive, "w:gz")) for source, archive in files]
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", tuple(resources))
    return folder


def test_a_set_is_fetched_unpacked_and_recognised(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new/pets"
    download("pets", out)
    assert splits(str(out)) == ("trainval", "test")
    assert np.array_equal(open_data(str(out), "test").read(1).mask, rows("10", "x1"))
    assert [path.name for path in out.rglob("*.gz")] == []
    assert [path.name for path in out.parent.iterdir()] == ["pets"]
    assert capsys.readouterr().out == ""


def test_pascal_voc(tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    voc = pytest.importorskip("torchvision.datasets.voc")
    folder, address = server
    home = tmp_path / "made/VOCdevkit/VOC2012"
    write_picture(home / "JPEGImages/2007_000001.jpg", 2, 2)
    write_mask(home / "SegmentationClass/2007_000001.png", rows("0x", "09"))
    write(home / "ImageSets/Segmentation/train.txt", "2007_000001\n")
    known = voc.DATASET_YEAR_DICT["2012"]
    checksum = pack(tmp_path / "made", folder / known["filename"], "w")
    changed = known | {"url": f"{address}/{known['filename']}", "md5": checksum}
    monkeypatch.setitem(voc.DATASET_YEAR_DICT, "2012", changed)
    download("voc", tmp_path / "voc")
    assert open_data(str(tmp_path / "voc"), "train").description.startswith("Pascal VOC2012, train: 1 pictures")
    assert not list((tmp_path / "voc").glob("*.tar"))


def test_sbd(tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    io = pytest.importorskip("scipy.io")
    folder, address = server
    home = tmp_path / "made/benchmark_RELEASE/dataset"
    write_picture(home / "img/a.jpg", 2, 2)
    for kind in ("cls", "inst"):
        (home / kind).mkdir()
        io.savemat(home / kind / "a.mat", {"GTcls": {"Segmentation": rows("05", "50")}})
    for split in ("train", "val"):
        write(home / f"{split}.txt", "a\n")
    checksum = pack(tmp_path / "made", folder / "benchmark.tgz", "w:gz")
    monkeypatch.setattr(datasets.SBDataset, "url", f"{address}/benchmark.tgz")
    monkeypatch.setattr(datasets.SBDataset, "md5", checksum)
    download("sbd", tmp_path / "sbd")
    assert np.array_equal(open_data(str(tmp_path / "sbd"), "val").read(0).mask, rows("05", "50"))


def spoil(pets: Path) -> None:
    (pets / "annotations.tar.gz").write_bytes(b"not what it was")


def remove(pets: Path) -> None:
    (pets / "annotations.tar.gz").unlink()


@pytest.mark.parametrize(("damage", "reason"), [(spoil, "File not found or corrupted"), (remove, "HTTP Error 404")])
def test_what_fails_is_one_line_and_leaves_nothing(damage: Any, reason: str, pets: Path, tmp_path: Path) -> None:
    damage(pets)
    with pytest.raises(DatasetError) as caught:
        download("pets", tmp_path / "out/pets")
    said = str(caught.value)
    assert said.startswith(f"pets could not be downloaded: {reason}")
    assert said.endswith(f"fetch it by hand from {DOWNLOADS['pets'].page} and unpack it into {tmp_path}/out/pets")
    assert "\n" not in said
    assert list((tmp_path / "out").iterdir()) == []


def test_without_a_network_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", (("http://127.0.0.1:9/images.tar.gz", "0"),))
    with pytest.raises(DatasetError, match=r"^pets could not be downloaded: .*Connection refused.*; try again, or "):
        download("pets", tmp_path / "pets")
    assert not (tmp_path / "pets").exists()


def test_ctrl_c_leaves_nothing(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = pytest.importorskip("torchvision.datasets.utils")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "_urlretrieve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download("pets", tmp_path / "out/pets")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(pets: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine/thesis.txt", "years of work")
    with pytest.raises(OutputError, match=r"mine is there already and is not empty; name a new folder with --out"):
        download("pets", tmp_path / "mine")
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    download("pets", tmp_path / "empty")
    assert splits(str(tmp_path / "empty")) == ("trainval", "test")


def test_names_that_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown data set 'vok'; known: voc, sbd, pets"):
        download("vok", tmp_path / "x")
    with pytest.raises(ConfigError, match=r"cityscapes cannot be fetched from here; take needs an account"):
        download("cityscapes", tmp_path / "x")
    assert set(DOWNLOADS) | set(BY_HAND) <= set(FORMATS)


def test_without_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgeseg\[train\]'"):
        download("pets", tmp_path / "pets")
