"""`edgeseg data`: what one does with labelled pictures before and beside training."""

from __future__ import annotations

from collections.abc import Callable

from cyclopts import App

from edgeseg.cli.data_check import check
from edgeseg.cli.data_convert import convert
from edgeseg.cli.data_download import download
from edgeseg.cli.data_preview import preview
from edgeseg.cli.data_split import split
from edgeseg.cli.data_stats import stats

# In the order of the help. Their modules import little: `edgeseg data --help` reads all of them.
VERBS: tuple[Callable[..., int | None], ...] = (stats, preview, check, split, convert, download)

data = App(
    name="data",
    help="""Look at labelled pictures, find what is wrong with them, divide, convert or fetch them.

For example:

  edgeseg data check --data camvid --out check.html
  edgeseg data preview --data coco --out preview.png
  edgeseg data split --data mine --val 0.2 --out divided
  edgeseg data download pets --out pets
""",
)
for order, verb in enumerate(VERBS):
    data.command(verb, sort_key=order)
