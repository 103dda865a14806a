"""What neighbouring frames have in common: skip, carry, smooth and shrink the work. Each is off unless asked for.

Small objects without threads, driven by whoever runs the stream: their answers depend on nothing but what they were
given. One thumbnail a frame, made by `thumbnail`, serves all of them.
"""
