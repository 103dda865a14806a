"""A second opinion on JPEG pictures."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg_runtime.capture.complaints import printed, tells_of_damage


class JpegCheck:
    """Has libjpeg read the whole picture, at an eighth of its size, which costs a fraction of decoding it."""

    def __init__(self) -> None:
        self._printed = printed()

    def is_good(self, data: memoryview) -> bool:
        """Return whether libjpeg finds nothing wrong with a picture."""
        self._printed.take()
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        except cv2.error:
            return False
        return image is not None and not tells_of_damage(self._printed.take())
