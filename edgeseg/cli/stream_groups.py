"""The order in which `edgeseg stream --help` shows its flags."""

from __future__ import annotations

from cyclopts import Group

STREAM = Group("Stream", sort_key=0)
SOURCE = Group("Source", sort_key=1)
OUTPUTS = Group("Outputs", sort_key=2)
OBJECTS = Group("Objects", sort_key=3)
EVENTS = Group("Zones and events", sort_key=4)
LIVE = Group("Live", sort_key=5)
VIEWER = Group("Viewer (live)", sort_key=6)
RECORDING = Group("Recording (live)", sort_key=7)
PRIVACY = Group("Privacy (live)", sort_key=8)
DELIVERY = Group("Delivery (live)", sort_key=9)
CAMERAS = Group("Cameras (live)", sort_key=10)
