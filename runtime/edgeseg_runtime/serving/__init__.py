"""A model in a process of its own, which can be ended and exchanged while frames come in.

An inference that hangs, an engine that crashes and a model that asks for all memory take that process down and nothing
else. Pictures, masks and objects go through shared memory.
"""
