"""Live cameras that can be left alone.

Each camera is opened, read and decoded in a process of its own (`worker`), because a read that hangs and a decoder that
crashes cannot be ended inside a process. The worker writes frames into memory that it shares with the parent (`ring`).
In the parent, `camera.Camera` starts the worker, connects again when a connection ends, and ends a worker that hangs.
"""
