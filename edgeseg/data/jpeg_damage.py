"""What is wrong inside a JPEG file that every reader shows all the same.

A decoder that loses its way in a damaged file fills the rest with something and says so on standard error, if at all.
"""

from __future__ import annotations

from importlib.util import find_spec

PACKAGE = "simplejpeg"
EXTRA = "train"
"""Extra of edgeseg that brings it."""


def can_look_for_damage() -> bool:
    """Whether the decoder that hands on its complaints is installed."""
    return find_spec(PACKAGE) is not None


def jpeg_damage(data: bytes) -> str | None:
    """Return what libjpeg-turbo complains of in the file with these bytes; None where it does not.

    A form that it does not know, such as twelve bits a channel, is none. Needs `simplejpeg`.
    """
    import simplejpeg

    def decode(strict: bool) -> str | None:
        try:
            colours = "CMYK" if simplejpeg.decode_jpeg_header(data, strict=strict)[2] == "CMYK" else "GRAY"
            # an eighth of the size is enough: all of the file is read for it
            simplejpeg.decode_jpeg(data, colours, min_height=1, min_width=1, min_factor=8, strict=strict)
        except ValueError as error:
            return str(error)
        return None

    complaint = decode(strict=True)
    return complaint if complaint is not None and decode(strict=False) is None else None
