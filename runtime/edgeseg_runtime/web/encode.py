"""Make pictures fit for the network."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cv2

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.web.layers import Sign, class_layer, numbers_of_objects, reduced, signs
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind, Packet, Take

Encode = Callable[[Take, Kind], Packet]


class Encoder:
    """Encodes takes as its options say. `counts` tells how many of each kind it made."""

    def __init__(self, options: WebOptions) -> None:
        self._options = options
        self.counts = dict.fromkeys(Kind, 0)

    def __call__(self, take: Take, kind: Kind) -> Packet:
        """Encode one take. Raises OutputError where OpenCV cannot."""
        self.counts[kind] += 1
        shot, frame, result = take.shot, take.shot.frame, take.shot.result
        picture = frame.image if kind is Kind.VIEW else shot.picture
        if kind is not Kind.STILL:
            picture = reduced(picture, self._options.picture_side, cv2.INTER_AREA)
        area: tuple[float, ...] = ()
        mask, mask_size = b"", (0, 0)
        written: tuple[Sign, ...] = ()
        numbers: tuple[int, ...] | None = None
        if kind is Kind.VIEW and shot.masked_at is not None:
            # the shares are those of the full mask, exact however small the layer is
            area = tuple(result.area().values())
            layer = class_layer(result, self._options.mask_side)
            mask, mask_size = deflated(layer), (layer.shape[0], layer.shape[1])
            written, numbers = signs(result), numbers_of_objects(result)
        return Packet(
            number=take.number,
            camera=frame.camera,
            frame=frame.index,
            captured_at=frame.captured_at,
            masked_at=shot.masked_at,
            fresh=shot.fresh,
            contract=result.contract,
            area=area,
            size=(frame.image.shape[0], frame.image.shape[1]),
            jpeg=jpeg(picture, self._options.quality),
            mask=mask,
            mask_size=mask_size,
            signs=written,
            numbers=numbers,
        )


def jpeg(picture: Image, quality: int) -> bytes:
    """Return a JPEG file. Raises OutputError."""
    try:
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise OutputError(f"OpenCV could not encode a JPEG of {picture.shape}: {error}") from error
    if not done:
        raise OutputError(f"OpenCV could not encode a JPEG of {picture.shape}")
    return data.tobytes()


def deflated(mask: Mask) -> bytes:
    """Return the bytes of a mask in zlib's format. Runs are all that is looked for: masks hold little else."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return compressor.compress(mask.tobytes()) + compressor.flush()
