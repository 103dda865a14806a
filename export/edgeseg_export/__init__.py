"""From a PyTorch module and a Contract to files a device runs, with proof that the masks are the same."""

import edgeseg_runtime as edgeseg_runtime  # before any module here imports onnxruntime: it turns its telemetry off
