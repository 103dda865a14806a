"""Outputs of a stream: window, video, masks, JSON lines."""

from __future__ import annotations

from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.jsonl import JsonLinesSink
from edgeseg_runtime.sinks.masks import MasksSink
from edgeseg_runtime.sinks.overlays import OverlaysSink
from edgeseg_runtime.sinks.video import VideoSink
from edgeseg_runtime.sinks.window import WindowSink, window_problem

__all__ = ["JsonLinesSink", "MasksSink", "OverlaysSink", "Shot", "Sink", "VideoSink", "WindowSink", "window_problem"]
