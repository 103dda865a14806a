"""Where frames and those who want to see them meet.

Frames come from the stream's threads, and only the newest of each camera is kept. Viewers say what they have seen and
wait for something newer. The encoder's thread asks for work, and there is none unless somebody waits: each take is
encoded once, for all who wait for it, and not at all when nobody does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition

from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.web.packets import Key, Packet, Take

Answer = Callable[[Packet], None]


@dataclass(eq=False)
class _Wait:
    after: int
    answer: Answer


class FrameHub:
    """The newest take of every camera, who waits for one, and what was encoded last. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._takes: dict[str, Take] = {}
        self._packets: dict[Key, Packet] = {}
        self._waits: dict[Key, list[_Wait]] = {}  # in the order in which they came: longest waiting first
        self._failed: dict[Key, int] = {}
        self._number = 0
        self._closed = False

    def put(self, shot: Shot) -> None:
        """Take over the newest shot of a camera. Never waits for anybody."""
        with self._changed:
            if self._closed:
                return
            self._number += 1
            self._takes[shot.frame.camera] = Take(self._number, shot)
            self._changed.notify()

    def newest(self, camera: str) -> Take | None:
        """Return a camera's newest take, None before its first."""
        with self._changed:
            return self._takes.get(camera)

    def cameras(self) -> tuple[str, ...]:
        """Return the cameras that have given a frame, the first one first."""
        with self._changed:
            return tuple(self._takes)

    def wait(self, key: Key, after: int, answer: Answer) -> Callable[[], None]:
        """Have `answer` called, once, from any thread, with a packet of a take above `after`.

        That may be before this returns. The function that is returned gives up waiting.
        """
        with self._changed:
            packet, take = self._packets.get(key), self._takes.get(key.camera)
            ready = packet is not None and take is not None and packet.number == take.number > after
            wait = _Wait(after, answer)
            if not ready:
                self._waits.setdefault(key, []).append(wait)
                self._changed.notify()
        if ready and packet is not None:
            answer(packet)
        return lambda: self._give_up(key, wait)

    def job(self) -> tuple[Key, Take] | None:
        """Wait for a take that somebody waits for; None once closed. Called by the encoder's thread."""
        with self._changed:
            while not self._closed:
                for key, waits in self._waits.items():
                    take = self._takes.get(key.camera)
                    if take is None or self._failed.get(key) == take.number:
                        continue
                    if any(wait.after < take.number for wait in waits):
                        return key, take
                self._changed.wait()
            return None

    def deliver(self, key: Key, packet: Packet) -> None:
        """Answer everybody who waits for this packet."""
        with self._changed:
            self._packets[key] = packet
            waits = self._waits.pop(key, [])
            later = [wait for wait in waits if wait.after >= packet.number]
            if later:
                self._waits[key] = later
        for wait in waits:
            if wait.after < packet.number:
                wait.answer(packet)

    def fail(self, key: Key, take: Take) -> None:
        """Say that this take cannot be encoded: those who wait go on waiting, for the next one."""
        with self._changed:
            self._failed[key] = take.number

    def close(self) -> None:
        """Let go of every picture and end the encoder's wait."""
        with self._changed:
            self._closed = True
            self._takes.clear()
            self._packets.clear()
            self._waits.clear()
            self._changed.notify_all()

    def _give_up(self, key: Key, wait: _Wait) -> None:
        with self._changed:
            waits = self._waits.get(key, [])
            if wait in waits:
                waits.remove(wait)
            if not waits:
                self._waits.pop(key, None)
