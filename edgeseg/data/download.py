"""Public data sets fetched by torchvision, which knows their addresses and checksums."""

from __future__ import annotations

import contextlib
import socket
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from edgeseg.data.sbd import EXTRA
from edgeseg_runtime.errors import ConfigError, DatasetError, OutputError
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import atomic_path

_TIMEOUT = 30.0
"""Seconds without an answer after which the network is given up."""
_ARCHIVES = (".tar", ".tgz", ".gz", ".zip")


@dataclass(frozen=True)
class Download:
    """A data set that can be fetched."""

    about: str
    page: str
    """Where people can read of it and fetch it by hand."""
    fetch: Callable[[Any, Path], object]
    """Called with torchvision.datasets and the folder."""
    packages: tuple[tuple[str, str], ...] = ()
    """Needed besides torchvision: package and the extra that brings it."""


def _voc(datasets: Any, folder: Path) -> object:
    return datasets.VOCSegmentation(folder, year="2012", image_set="train", download=True)


def _sbd(datasets: Any, folder: Path) -> object:
    return datasets.SBDataset(folder, image_set="train", mode="segmentation", download=True)


def _pets(datasets: Any, folder: Path) -> object:
    return datasets.OxfordIIITPet(folder, target_types="segmentation", download=True)


DOWNLOADS = {
    "voc": Download(
        "Pascal VOC 2012, 1,464 + 1,449 pictures, 2 GB", "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/", _voc
    ),
    "sbd": Download(
        "SBD, VOC's classes on 11,355 pictures, 1.4 GB",
        "http://home.bharathh.info/pubs/codes/SBD/download.html",
        _sbd,
        (("scipy", EXTRA),),
    ),
    "pets": Download(
        "Oxford-IIIT Pet, 3,680 + 3,669 pictures, 0.8 GB", "https://www.robots.ox.ac.uk/~vgg/data/pets/", _pets
    ),
}
BY_HAND = {
    "cityscapes": "needs an account: gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip from"
    " https://www.cityscapes-dataset.com/downloads/",
    "ade20k": "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
    "coco": "pictures and annotations from https://cocodataset.org/#download",
    "camvid": "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
}
"""Sets that torchvision does not fetch, and where they are."""


def download(name: str, out: Path) -> None:
    """Fetch and unpack a data set into the folder `out`, which appears when all of it is there.

    Raises ConfigError for an unknown name, MissingExtraError, OutputError if `out` holds something, and DatasetError
    when the network or what it gives fails.
    """
    if name in BY_HAND:
        raise ConfigError(f"{name} cannot be fetched from here; take {BY_HAND[name]}")
    if name not in DOWNLOADS:
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(DOWNLOADS)}")
    wanted = DOWNLOADS[name]
    for package, extra in (("torchvision", "train"), *wanted.packages):
        require(package, extra)
    from torchvision import datasets

    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out} is there already and is not empty; name a new folder with --out")
    with atomic_path(out) as folder:
        folder.mkdir()
        try:
            # torchvision's messages go to stdout, where scripts look for answers
            with _timeout(), contextlib.redirect_stdout(sys.stderr):
                wanted.fetch(datasets, folder)
        except (OSError, RuntimeError, HTTPException, EOFError, tarfile.TarError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, HTTPError):
                error.close()  # it is the server's answer, too
            raise DatasetError(
                f"{name} could not be downloaded: {reason}; try again, or fetch it by hand from {wanted.page}"
                f" and unpack it into {out}"
            ) from error
        for path in folder.rglob("*"):
            if path.suffix in _ARCHIVES and path.is_file():
                path.unlink()


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
