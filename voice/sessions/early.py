"""What comes before there is a model to hear it: read all the same, for it may be a goodbye, and kept in its order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from voice.audio import bytes_of

# A call looks for its model for half a minute at most; some of it may come at once, from a network that was slow.
_KEPT_BYTES_MAX = bytes_of(40_000)
# What something small takes in memory, at least.
_LEAST_BYTES = 1000

T = TypeVar("T")


async def keep(kept: list[T], read: Callable[[], Awaitable[T]], bytes_in: Callable[[T], int]) -> NoReturn:
    """Append all that `read` returns until it raises, or this is cancelled; nothing more is read than can be kept.

    What is not read waits where it is. `bytes_in` says how large something is.
    """
    kept_bytes = 0
    while True:
        if kept_bytes >= _KEPT_BYTES_MAX:
            await asyncio.get_running_loop().create_future()
        one = await read()
        kept.append(one)
        kept_bytes += max(bytes_in(one), _LEAST_BYTES)
