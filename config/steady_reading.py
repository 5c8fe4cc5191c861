"""Keeps picows from reading more at once than its buffer is made for: what that has grown to it keeps to the end.

A process that was busy for a moment finds a tenth of a second of audio waiting on every one of its connections.
"""

from asyncio import BufferedProtocol
from typing import Any

from picows import WSTransport


def read_steadily(transport: WSTransport) -> None:
    """Let the socket be read in pieces of the usual size. Call once the handshake is over."""
    raw: Any = transport.underlying_transport
    raw.set_protocol(_Steady(raw.get_protocol()))


class _Steady(BufferedProtocol):
    """Stands before picows' protocol; what it changes nothing about goes straight there."""

    __slots__ = (
        "_free_buffer",
        "buffer_updated",
        "connection_lost",
        "eof_received",
        "pause_writing",
        "resume_writing",
    )

    def __init__(self, protocol: Any) -> None:
        self._free_buffer = protocol.get_buffer
        for name in self.__slots__[1:]:
            setattr(self, name, getattr(protocol, name))

    def get_buffer(self, sizehint: int) -> memoryview:
        # picows doubles a buffer that is nine tenths full. Where an unfinished frame takes less than six tenths of it,
        # three quarters of the rest leave it below that; a larger one makes it grow as before.
        free: memoryview = self._free_buffer(sizehint)
        return free[: max(1, len(free) * 3 // 4)]
