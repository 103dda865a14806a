"""The loop of every tutorial: read, run, show, in order, until a read fails; a thread for each further camera."""

from __future__ import annotations

from threading import Lock, Thread
from time import monotonic

import cv2

from ordeals.drivers.wire import Task, Wire, hold


def main() -> None:
    """Read until the end of every camera."""
    task, wire, model = Task.from_arguments(), Wire(), Lock()
    wire.start("opencv-python")

    def read(source: int, url: str) -> None:
        capture = cv2.VideoCapture(url)
        if not capture.isOpened():
            wire.told("isOpened() is false", source)
            return
        while True:
            found, image = capture.read()
            if not found:
                wire.told("read() gave no picture", source)
                return
            with model:
                hold(monotonic(), task.inference_seconds)
            wire.shown(source, image)

    threads = [Thread(target=read, args=one) for one in enumerate(task.urls) if one[0]]
    for thread in threads:
        thread.start()
    read(0, task.urls[0])
    for thread in threads:
        thread.join()
    wire.done()


if __name__ == "__main__":
    main()
