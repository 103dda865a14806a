"""Processes of ours that may be killed at any moment, and leave nothing behind.

A read that never returns, an inference that loops and a decoder that crashes cannot be ended inside a process. So what
can do that runs in a child: it talks over a socket pair, hands pictures over in memory without a name, and ends itself
when its parent is gone, however that came about.
"""
