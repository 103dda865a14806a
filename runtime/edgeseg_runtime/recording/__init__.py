"""Recording that survives what ends a process: segments of H.264 in MP4, each playable by itself.

What was readable of 120 frames (640×480, one encoder, 30 frames a second) after SIGKILL, and the size of the whole:

=================================  ========  =========
container                          readable  bytes
=================================  ========  =========
MP4 (H.264; OpenCV's mp4v alike)          0  2,710,867
Matroska as it comes                     80  2,711,164
Matroska, clusters of 0.5 s             106  2,711,232
MPEG-TS                                 113  2,799,320
AVI, motion JPEG, flushed               120  7,832,632
fragmented MP4, fragment a second        90  2,711,327
**fragmented MP4, a frame each**        119  2,725,014
=================================  ========  =========

So each frame is a fragment, which costs half a percent, and closing turns the file into a plain MP4.

Milliseconds and kilobytes a frame on one core of a busy machine, 640×480 / 1280×720, a moving camera: x264 ultrafast
1.8 / 6.5 ms and 25 / 45 kB; superfast 4.9 / 14 and 13 / 26; MPEG-4 2.3 / 5.1 and 29 / 47; motion JPEG 3.3 / 6.3 and
60 / 110; masks without loss as H.264 0.7 / 2.3 and 7 / 18, as PNG 3.2 / 10 and 17 / 40. The pre-roll is kept as
packets: JPEGs would take 0.9 / 2.5 ms and four times the memory, and 4.7 / 12 ms a frame all at once when the trigger
comes.
"""

from __future__ import annotations

from edgeseg_runtime.recording.options import RecordOptions
from edgeseg_runtime.recording.recorder import RecordStatus
from edgeseg_runtime.recording.sink import RecordSink
from edgeseg_runtime.recording.snapshot import Snapshot, SnapshotSink, save_snapshot
from edgeseg_runtime.recording.trigger import Condition, parse_trigger

__all__ = [
    "Condition",
    "RecordOptions",
    "RecordSink",
    "RecordStatus",
    "Snapshot",
    "SnapshotSink",
    "parse_trigger",
    "save_snapshot",
]
