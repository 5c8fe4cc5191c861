"""A Redis as several processes share one: keys that expire, in this process's memory."""

import time
from collections.abc import Iterable


class SharedMemory:
    """`kept` is what is there, by name. `is_away`: nobody reaches it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}
        self.is_away = False

    async def set(self, name: str, value: bytes, *, ex: int) -> bool:
        self._reach()
        self.kept[name] = value, time.monotonic() + ex
        return True

    async def mget(self, names: Iterable[str]) -> list[bytes | None]:
        self._reach()
        found = [self.kept.get(name, (None, 0.0)) for name in names]
        return [value if until > time.monotonic() else None for value, until in found]

    async def delete(self, *names: str) -> int:
        self._reach()
        return sum(self.kept.pop(name, None) is not None for name in names)

    def _reach(self) -> None:
        if self.is_away:
            raise OSError
