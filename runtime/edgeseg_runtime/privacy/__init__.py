"""Pictures that show less: what a mask names is made unrecognisable, and everything is where the mask is in doubt."""

from __future__ import annotations

from edgeseg_runtime.privacy.background import Background
from edgeseg_runtime.privacy.blur import PrivacyBlur
from edgeseg_runtime.privacy.coarse import coarse
from edgeseg_runtime.privacy.virtual_camera import VirtualCameraSink

__all__ = ["Background", "PrivacyBlur", "VirtualCameraSink", "coarse"]
