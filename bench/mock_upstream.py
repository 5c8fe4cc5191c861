"""A Realtime GA server that costs next to nothing: it speaks the caller's own audio back and reports usage for it.

While a response runs, every appended frame comes back at once as a delta of the same size. After `response_ms` of audio
the response is done, with its usage; the audio counts as a committed and transcribed turn, upon which a client asks for
the next response. `python -m bench.mock_upstream --port 9100`
"""

import argparse
import json
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

_BYTES_PER_MS = 48
# How a transcript trickles in beside the audio.
_WORDS_EVERY_MS = 500
_WORDS = " and so on"
_INSTRUCTIONS_TOKENS = 900

_AUDIO = b'"audio":'
_APPEND = b"input_audio_buffer.append"


def compact(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def audio_of(frame: bytes) -> bytes:
    """Return the base64 of an append, whoever wrote the JSON."""
    start = frame.index(b'"', frame.index(_AUDIO) + len(_AUDIO)) + 1
    return frame[start : frame.index(b'"', start)]


def usage_of(heard_ms: int, said_ms: int, remembered_tokens: int) -> dict[str, Any]:
    """Count by the published rules: 10 tokens a second heard, 20 said, what was there before as cached."""
    heard, said = -(-heard_ms // 100), -(-said_ms // 50)
    cached = {"text_tokens": _INSTRUCTIONS_TOKENS, "audio_tokens": remembered_tokens, "image_tokens": 0}
    audio_in = remembered_tokens + heard
    return {
        "total_tokens": _INSTRUCTIONS_TOKENS + audio_in + said,
        "input_tokens": _INSTRUCTIONS_TOKENS + audio_in,
        "output_tokens": said,
        "input_token_details": {
            "text_tokens": _INSTRUCTIONS_TOKENS,
            "audio_tokens": audio_in,
            "image_tokens": 0,
            "cached_tokens": _INSTRUCTIONS_TOKENS + remembered_tokens,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": 0, "audio_tokens": said},
    }


class Conversation(WSListener):
    """One session. Ids are counted, not drawn: drawing them would cost more than the rest."""

    def __init__(self, response_ms: int) -> None:
        self._response_bytes = response_ms * _BYTES_PER_MS
        self._serial = 0
        self._said_bytes = 0
        self._words_due_bytes = 0
        self._remembered_tokens = 0
        self._delta_prefix = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._emit("session.created", session={"type": "realtime", "object": "realtime.session", "id": "sess_bench"})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._take(frame.get_payload_as_bytes())

    def _take(self, frame: bytes) -> None:
        if _APPEND in frame[:80]:
            if self._delta_prefix:
                self._echo(audio_of(frame))
            return
        event = json.loads(frame)
        match event["type"]:
            case "session.update":
                self._emit("session.updated", session={**event["session"], "object": "realtime.session"})
            case "response.create" if not self._delta_prefix:
                self._start()
            case "response.cancel" if self._delta_prefix:
                self._finish("cancelled")

    def _start(self) -> None:
        self._serial += 1
        self._said_bytes = self._words_due_bytes = 0
        delta = {"type": "response.output_audio.delta", "event_id": "event_bench", **self._place, "delta": ""}
        self._delta_prefix = compact(delta)[:-2]
        self._emit("response.created", response=self._response("in_progress", None))
        item = self._item("in_progress")
        self._emit("response.output_item.added", response_id=self._response_id, output_index=0, item=item)
        self._emit("conversation.item.added", previous_item_id=None, item=item)
        self._emit("response.content_part.added", **self._place, part={"type": "audio", "transcript": ""})

    def _echo(self, audio: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, b"".join((self._delta_prefix, audio, b'"}')))
        self._said_bytes += len(audio) * 3 // 4
        if self._said_bytes >= self._words_due_bytes:
            self._words_due_bytes += _WORDS_EVERY_MS * _BYTES_PER_MS
            self._emit("response.output_audio_transcript.delta", **self._place, delta=_WORDS)
        if self._said_bytes >= self._response_bytes:
            self._finish("completed")
            self._hear()

    def _finish(self, status: str) -> None:
        self._delta_prefix = b""
        ms = self._said_bytes // _BYTES_PER_MS
        self._emit("response.output_audio.done", **self._place)
        self._emit("response.output_audio_transcript.done", **self._place, transcript=_WORDS * 4)
        usage = usage_of(ms, ms, self._remembered_tokens)
        self._remembered_tokens += usage["output_token_details"]["audio_tokens"] + ms // 100
        self._emit("response.done", response=self._response(status, usage))

    def _hear(self) -> None:
        item_id = f"user_{self._serial}"
        self._emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        self._emit(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=_WORDS * 4,
            usage={
                "type": "tokens",
                "total_tokens": 70,
                "input_tokens": 50,
                "output_tokens": 20,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 50},
            },
        )

    @property
    def _response_id(self) -> str:
        return f"resp_{self._serial}"

    @property
    def _place(self) -> dict[str, Any]:
        item_id = f"item_{self._serial}"
        return {"response_id": self._response_id, "item_id": item_id, "output_index": 0, "content_index": 0}

    def _item(self, status: str) -> dict[str, Any]:
        item_id = f"item_{self._serial}"
        return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": []}

    def _response(self, status: str, usage: dict[str, Any] | None) -> dict[str, Any]:
        output = [self._item(status)] if usage else []
        return {
            "object": "realtime.response", "id": self._response_id, "status": status, "status_details": None,
            "output": output, "output_modalities": ["audio"], "usage": usage, "metadata": None,
        }  # fmt: skip

    def _emit(self, kind: str, **fields: Any) -> None:
        self._transport.send(WSMsgType.TEXT, compact({"type": kind, "event_id": "event_bench", **fields}))


async def serve(port: int, response_ms: int) -> None:
    server = await ws_create_server(lambda _request: Conversation(response_ms), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Echo audio as a Realtime server would.")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--response-ms", type=int, default=5_000, help="length of one response")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.response_ms))
