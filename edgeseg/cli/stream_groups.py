"""The order in which `edgeseg stream --help` shows its flags."""

from __future__ import annotations

from cyclopts import Group

STREAM = Group("Stream", sort_key=0)
SOURCE = Group("Source", sort_key=1)
OUTPUTS = Group("Outputs", sort_key=2)
OBJECTS = Group("Objects", sort_key=3)
LIVE = Group("Live", sort_key=4)
VIEWER = Group("Viewer (live)", sort_key=5)
RECORDING = Group("Recording (live)", sort_key=6)
PRIVACY = Group("Privacy (live)", sort_key=7)
EVENTS = Group("Events (live)", sort_key=8)
CAMERAS = Group("Cameras (live)", sort_key=9)
