"""Keeps picows from reading more at once than its buffer is made for: what that has grown to it keeps to the end.

A process that was busy for a moment finds a tenth of a second of audio waiting on every one of its connections.
"""

from asyncio import BufferedProtocol
from collections.abc import Callable
from typing import Any

from picows import WSTransport


def read_steadily(transport: WSTransport) -> None:
    """Let the socket be read in pieces of the usual size. Call once the handshake is over."""
    raw: Any = transport.underlying_transport
    raw.set_protocol(_Steady(raw.get_protocol()))


class _Steady(BufferedProtocol):
    """Stands before picows' protocol; what it changes nothing about goes straight there."""

    __slots__ = (
        "buffer_updated",
        "connection_lost",
        "eof_received",
        "get_buffer",
        "pause_writing",
        "resume_writing",
    )

    def __init__(self, protocol: Any) -> None:
        for name in self.__slots__:
            part = getattr(protocol, name)
            setattr(self, name, _three_quarters(part) if name == "get_buffer" else part)


def _three_quarters(free_buffer: Callable[[int], memoryview]) -> Callable[[int], memoryview]:
    def get_buffer(sizehint: int) -> memoryview:
        # picows doubles a buffer that is nine tenths full. Where an unfinished frame takes less than six tenths of it,
        # three quarters of the rest leave it below that; a larger one makes it grow as before. It is never full.
        free = free_buffer(sizehint)
        return free[: len(free) * 3 // 4]

    return get_buffer
