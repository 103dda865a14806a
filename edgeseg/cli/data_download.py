"""`edgeseg data download`."""

from __future__ import annotations

from pathlib import Path

from edgeseg.cli.console import note


def download(name: str, /, *, out: Path) -> None:
    """Fetch a public data set: voc, sbd or pets.

    torchvision does it. The sets have licences and terms of their own. --out
    appears when all of it is there, unpacked.

    For example:

      edgeseg data download pets --out pets
      edgeseg data download voc --out voc && edgeseg data stats --data voc

    Parameters
    ----------
    name
        Data set: voc, sbd or pets.
    out
        Folder to make.
    """
    from edgeseg.data.download import DOWNLOADS
    from edgeseg.data.download import download as fetch
    from edgeseg.data.open import splits

    if name in DOWNLOADS:
        note(f"fetching {DOWNLOADS[name].about}")
    fetch(name, out)
    note(f"{out}: splits {', '.join(splits(str(out)))}")
