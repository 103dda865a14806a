"""Measure exported models where they will run. Torch-free."""

import edgeseg_runtime as edgeseg_runtime  # before any module here imports onnxruntime: it turns its telemetry off
