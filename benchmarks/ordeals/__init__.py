"""The same ordeals for every program that reads live cameras, judged from the outside alone.

    wire format   drivers/wire.py (written), trace.py (read)
    subjects      subjects.py, running.py; one driver each in drivers/, each run by a Python of its own
    ordeals       gone, silent, absent, password, four_cameras, slow_model, viewer, soak
    judgement     judge.py: from a trace to figures, the same for all
    answer        table.py

Nothing here imports a subject; only its own driver does, in its own process.
"""
