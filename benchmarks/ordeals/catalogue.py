"""All ordeals, in the order in which they are run."""

from __future__ import annotations

from ordeals import absent, four_cameras, gone, password, silent, slow_model, soak, viewer
from ordeals.stage import Ordeal

ORDEALS = (
    Ordeal(1, "gone", "camera gone 10 s", gone.run, gone.cell),
    Ordeal(2, "silent", "open but silent 15 s", silent.run, silent.cell, together=True),
    Ordeal(3, "absent", "camera absent at start", absent.run, absent.cell),
    Ordeal(4, "password", "wrong password", password.run, password.cell, together=True),
    Ordeal(5, "four-cameras", "four cameras, one dies", four_cameras.run, four_cameras.cell),
    Ordeal(6, "slow-model", "inference 3 × the frame time", slow_model.run, slow_model.cell),
    Ordeal(14, "viewer", "slow browser, 50 idle sockets, 100 connects", viewer.run, viewer.cell),
    Ordeal(20, "soak", "a minute, what grows", soak.run, soak.cell, together=True),
)
