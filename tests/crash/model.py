"""The model of every call: it echoes, and keeps count of the answers whose usage it has reported."""

import hashlib
from collections import Counter
from typing import Any
from unittest.mock import ANY

from websockets.asyncio.server import ServerConnection

from tests.fakes.realtime_server import RealtimeServer

# Short, so that a few seconds hold many answers.
ANSWER_MS = 300


class CountingModel(RealtimeServer):
    """`reported` counts by session how many answers it has told the usage of."""

    def __init__(self, secret_key: str) -> None:
        super().__init__(echo_ms=ANSWER_MS, safety_identifier=ANY)
        self._secret_key = secret_key
        self._reported: Counter[str] = Counter()

    def reported(self, session_id: str) -> int:
        # The provider knows a call without a visitor by this, and by nothing else.
        return self._reported[hashlib.sha256(f"{self._secret_key}:{session_id}".encode()).hexdigest()]

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        name, send = connection.request.headers["OpenAI-Safety-Identifier"], connection.send

        async def counted(message: Any) -> None:
            await send(message)
            if message.startswith('{"type":"response.done"'):
                self._reported[name] += 1

        connection.send = counted  # type: ignore[method-assign]
        await super()._serve(connection)
