"""Segmentation networks: one file an architecture, one literal table."""

from edgeseg.models.registry import MODELS, ModelSpec, build

__all__ = ["MODELS", "ModelSpec", "build"]
