"""Outputs of instance models: the objects in the formats that labelling, training and table programs read."""

from __future__ import annotations

from edgeseg_runtime.sinks.objects.coco import CocoSink
from edgeseg_runtime.sinks.objects.coco_recording import CocoRecordingSink
from edgeseg_runtime.sinks.objects.labelme import LabelmeSink
from edgeseg_runtime.sinks.objects.maps import MapsSink
from edgeseg_runtime.sinks.objects.rows import CsvSink
from edgeseg_runtime.sinks.objects.yolo import YoloSink

__all__ = ["CocoRecordingSink", "CocoSink", "CsvSink", "LabelmeSink", "MapsSink", "YoloSink"]
