"""A provider of text models: it streams, tells each answer's own number of tokens, and breaks like the others."""

import asyncio
import itertools
import json
import random
import re
from typing import Any

from tests.crash.storm.faults import Faults
from tests.fakes.openai_compatible_server import OpenAICompatibleServer, _begin, _chunk, _delta, _end, _whole

# Every agent's instructions hold its caller's number, which is how an answer is known to be that caller's.
MARK = re.compile(r"Caller number (\d+)\.")
WORDS = ("Turnips ", "are ", "sold ", "by ", "the ", "crate.")
_BREAKS = 0.08
_FIRST_TOKENS = 200
# Written tokens as this provider tells them: nobody who counts the words for themselves comes to as many.
WRITTEN_TOKENS = 97


class ChatProvider(OpenAICompatibleServer):
    """`told` holds, by the number of tokens read, which is told once only, whose answer it was the usage of."""

    def __init__(self, api_key: str, rng: random.Random, faults: Faults) -> None:
        super().__init__(api_key=api_key)
        self._rng, self._faults = rng, faults
        self._tokens = itertools.count(_FIRST_TOKENS)
        self.told: dict[int, int] = {}
        self.asked = 0
        self.is_away = False

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        _, body = self.requests.pop()
        if self.is_away:
            writer.transport.abort()
            return False
        if path == "/models":
            return await _whole(writer, 200, {"object": "list", "data": []})
        if path != "/chat/completions":
            self.problems.append(f"unexpected {path}")
            return await _whole(writer, 404, {})
        breaks = self._faults.are_on and self._rng.random() < _BREAKS
        if breaks and self._rng.random() < 0.5:
            return await _whole(writer, 429, {"error": {"message": "refused", "code": "rate_limit_exceeded"}})
        return await self._stream(writer, body, breaks_off=breaks)

    async def _stream(self, writer: asyncio.StreamWriter, body: dict[str, Any], *, breaks_off: bool) -> bool:
        number = _caller_of(body)
        self.asked += 1
        await asyncio.sleep(self._faults.latency_s())
        await _begin(writer, "text/event-stream")
        for index, word in enumerate(WORDS):
            if breaks_off and index == len(WORDS) // 2:
                writer.transport.abort()
                return False
            await _delta(writer, {"content": word})
            await asyncio.sleep(0.05)
        await _delta(writer, {}, "stop")
        if body.get("stream_options") == {"include_usage": True}:
            tokens = next(self._tokens)
            used = {
                "prompt_tokens": tokens,
                "completion_tokens": WRITTEN_TOKENS,
                "total_tokens": tokens + WRITTEN_TOKENS,
            }
            chunk = {"object": "chat.completion.chunk", "choices": [], "usage": used}
            await _chunk(writer, b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.told[tokens] = number
        await _chunk(writer, b"data: [DONE]\n\n")
        return await _end(writer)


def _caller_of(body: dict[str, Any]) -> int:
    mark = MARK.search(json.dumps(body["messages"]))
    return int(mark.group(1)) if mark else -1
