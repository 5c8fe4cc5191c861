"""Where a call's memory is kept for another process: in a shared Redis that writes nothing to disk, and nowhere else.

It is encrypted with a key that is made from the call's resume token, which the caller's browser alone has, and each
copy lives for a minute at most. Without such a Redis nothing is kept, and a call that another process takes over goes
on without knowing what was said.
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

log = structlog.get_logger(__name__)

LIVES_S = 60
_LABEL = b"parley call memory 1"
# A Redis that takes longer is as good as none: nobody waits for it on a call's path.
_TIMEOUT_S = 1.0
_POLL_S = 0.03
# A process that took a call over and died before it had written anything leaves what its own forerunner wrote.
_GENERATIONS_BACK = 3
# Half an hour of talk is far below it.
_BYTES_MAX = 1_000_000


class Snapshots:
    """The memories of one call. `secret` is its token's. `generation` is this process's turn with the call."""

    def __init__(self, session_id: UUID, secret: bytes, generation: int) -> None:
        self._session_id, self._generation = session_id, generation
        key = HKDF(algorithm=SHA256(), length=32, salt=session_id.bytes, info=_LABEL).derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    @property
    def have_a_place(self) -> bool:
        return bool(settings.RESUME_REDIS_URL)

    async def write(self, kept: Mapping[str, Any], *, is_last: bool = False) -> bool:
        """Keep something in JSON's types, in the place of what was kept before; say whether that was possible.

        `is_last`: this process lets go of the call.
        """
        redis = await _redis()
        if redis is None:
            return False
        sealed = self._fernet.encrypt(json.dumps({**kept, "is_last": is_last}).encode())
        if len(sealed) > _BYTES_MAX:
            return False
        return await _done(redis.set(self._name(self._generation), sealed, ex=LIVES_S), None) is not None

    async def read(self, *, within_s: float) -> dict[str, Any] | None:
        """Return the latest memory of the processes before this one: what the last one left, if that comes in time."""
        redis = await _redis()
        if redis is None:
            return None
        give_up_at = time.monotonic() + within_s
        while True:
            names = [self._name(number) for number in self._forerunners()]
            found = [self._opened(sealed) for sealed in await _done(redis.mget(names), []) if sealed]
            latest = next((opened for opened in found if opened is not None), None)
            if (latest and latest["is_last"]) or time.monotonic() > give_up_at:
                return latest
            await asyncio.sleep(_POLL_S)

    async def forget(self) -> None:
        """Keep nothing any more: the call is over."""
        redis = await _redis()
        if redis is not None:
            await _done(redis.delete(*(self._name(number) for number in (self._generation, *self._forerunners()))), 0)

    def _forerunners(self) -> list[int]:
        return list(range(self._generation - 1, self._generation - 1 - _GENERATIONS_BACK, -1))

    def _name(self, generation: int) -> str:
        return f"parley:call:{self._session_id.hex}:{generation}"

    def _opened(self, sealed: bytes) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._fernet.decrypt(sealed, ttl=LIVES_S)))
        except (InvalidToken, ValueError, TypeError):
            return None


class _Shared:
    """One event loop's connection to the Redis, and whether it may be used."""

    def __init__(self) -> None:
        options: dict[str, Any] = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
        options["retry"] = Retry(NoBackoff(), 0)
        self.redis: Redis = Redis.from_url(settings.RESUME_REDIS_URL, **options)
        self.may_be_used: bool | None = None

    async def look(self) -> None:
        """Find out whether what is written there stays in memory."""
        try:
            found = await self.redis.config_get("save", "appendonly")
        except ResponseError:
            # Hosted ones do not say. docs/running.md names what is asked of them.
            self.may_be_used = True
        except (RedisError, OSError):
            return
        else:
            self.may_be_used = not found.get("save") and found.get("appendonly") != "yes"
        if self.may_be_used is False:
            log.warning("calls leave no memory: this Redis writes to disk", setting="RESUME_REDIS_URL")


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


async def _redis() -> "Redis | None":
    """Return where memories are kept, None when there is no such place, or not now."""
    if not settings.RESUME_REDIS_URL:
        return None
    shared = _shared.setdefault(asyncio.get_running_loop(), _Shared())
    if shared.may_be_used is None:
        await shared.look()
    return shared.redis if shared.may_be_used else None


async def _done(doing: Any, otherwise: Any) -> Any:
    try:
        return await doing
    except (RedisError, OSError) as error:
        log.info("a call's memory is out of reach", error=type(error).__name__)
        return otherwise
