"""The objects of a recording as one data set of COCO's."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import atomic_path
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.objects.coco import Objects, coco_categories, coco_objects
from edgeseg_runtime.sinks.objects.common import result_of


class CocoRecordingSink(Sink[Objects]):
    """Writes a data set (images, annotations with their scores, categories), which gets its name when the stream ends.

    A frame's image id is its place counted from 1; `frame` counts from 0, and `time` is its position in seconds. An
    annotation has `track_id` where its object has an id. Annotations go to the disk as they come, for a recording may
    hold millions.
    """

    name = "coco"
    backlog = 64

    def __init__(self, path: Path, contract: Contract) -> None:
        """Raises OutputError."""
        if path.is_dir():
            raise OutputError(f"--coco: {path} is a folder")
        self._path, self._contract = path, contract
        self._images: list[dict[str, Any]] = []
        self._annotations = 0
        with ExitStack() as opening:
            temporary = opening.enter_context(atomic_path(path))
            try:
                self._file: TextIO = temporary.open("w", encoding="utf-8")
                self._file.write('{"annotations":[')
            except OSError as error:
                raise OutputError(f"{path} cannot be written: {error.strerror}") from error
            self._renaming = opening.pop_all()

    def encode(self, shot: Shot) -> Objects:
        """Describe the objects. Raises OutputError for a model that finds none."""
        result = result_of(shot)
        found = coco_objects(result)
        for place, described in found:
            if result.ids and result.ids[place]:
                described["track_id"] = result.ids[place]
        return [described for _, described in found]

    def write(self, shot: Shot, encoded: Objects) -> None:
        """Write the annotations. Raises OutputError."""
        frame, number = shot.frame, len(self._images) + 1
        height, width = frame.image.shape[:2]
        image = {"id": number, "file_name": frame.name, "height": height, "width": width, "frame": frame.index}
        self._images.append(image | ({} if frame.position is None else {"time": round(frame.position, 4)}))
        for described in encoded:
            text = _plain({"id": self._annotations + 1, "image_id": number, "iscrowd": 0, **described})
            self._put(f",\n{text}" if self._annotations else f"\n{text}")
            self._annotations += 1

    def close(self) -> None:
        """Finish the file and give it its name, unless it could not be written before. Raises OutputError."""
        if self._file.closed:
            return
        try:
            self._put(f'\n],"images":{_plain(self._images)},"categories":{_plain(coco_categories(self._contract))}}}\n')
            self._file.close()
            self._renaming.close()
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error

    def _put(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            self._file.close()
            self._renaming.__exit__(OutputError, OutputError(), None)
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
