"""What a run leaves for people to look at: metrics.csv, curves.png and TensorBoard events."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeseg.training.task import Headline
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table, colorize
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import atomic_path, write_text
from edgeseg_runtime.preprocess import Image, Mask

METRICS, CURVES, EVENTS = "metrics.csv", "curves.png", "tensorboard"


class RunLog:
    """Collects one row of numbers an epoch; rewrites the table and the picture each time, whole."""

    def __init__(self, folder: Path, epochs_done: int, headline: Headline) -> None:
        """Continue the log in `folder` after `epochs_done` epochs; rows of a lost end are dropped."""
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.headline = folder, headline
        self.rows: list[dict[str, float]] = [
            row for row in read_metrics(folder / METRICS) if row["epoch"] <= epochs_done
        ]
        self._events = SummaryWriter(str(folder / EVENTS), purge_step=epochs_done + 1)

    def add(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add an epoch's row and bring all three records up to date."""
        self.rows.append({"epoch": epoch, **values})
        for name, value in values.items():
            if math.isnan(value):  # before the first epoch there is no loss
                continue
            self._events.add_scalar(name, value, epoch)
        self._events.flush()
        write_text(self.folder / METRICS, _csv(self.rows))
        draw_curves(self.rows, self.headline, self.folder / CURVES)

    def add_picture(self, name: str, picture: Image, epoch: int) -> None:
        """Add a BGR picture to TensorBoard."""
        rgb = np.ascontiguousarray(picture[..., ::-1])
        self._events.add_image(name, rgb, epoch, dataformats="HWC")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read metrics.csv as one mapping an epoch; no file is no rows. Raises ConfigError for a damaged one."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        table = csv.DictReader(handle)
        try:
            return [{name: float(value) for name, value in row.items()} for row in table]
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: line {table.line_num} is damaged; remove it to go on without") from error


def prediction_strip(image: Image, truth: Mask, prediction: Mask, contract: Contract) -> Image:
    """Return picture, truth and prediction side by side, BGR."""
    table = color_table(contract)
    return np.hstack([image, colorize(truth, table), colorize(prediction, table)])


def draw_curves(rows: list[dict[str, float]], headline: Headline, path: Path) -> None:
    """Draw loss, val scores and learning rate over the epochs to a PNG."""
    require("matplotlib", "train")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)  # without pyplot: no window system, no global state
    epochs = [row["epoch"] for row in rows]
    panels = (("training loss", ("loss",)), ("val", (headline.key, *headline.beside)), ("learning rate", ("lr",)))
    for axes, (title, names) in zip(figure.subplots(1, 3), panels, strict=True):
        for name in names:
            axes.plot(
                epochs, [row[name] for row in rows], label=name.replace("_", " "), marker="." if len(rows) < 3 else ""
            )
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if len(names) > 1:
            axes.legend(frameon=False)
            axes.set_ylim(0, 1)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _csv(rows: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    # repr keeps every bit, so that two runs can be compared exactly
    writer.writerows({name: repr(value) for name, value in row.items()} | {"epoch": int(row["epoch"])} for row in rows)
    return text.getvalue()
