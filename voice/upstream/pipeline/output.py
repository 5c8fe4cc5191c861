"""The items one response makes, told of in GA events as they grow."""

import base64
from collections.abc import Callable
from typing import Any

from voice.upstream.pipeline.conversation import Conversation, Item, Spoken
from voice.upstream.pipeline.parts import ToolCall
from voice.upstream.pipeline.wire_audio import Converter, encoder_of


class Output:
    """At most one message at a time is open; `items` are all of them, `text` and `audio_bytes` what they amount to.

    Without an `audio_format` it is written only. Without a conversation its items belong to nothing but the response.
    """

    def __init__(
        self,
        *,
        response_id: str,
        audio_format: dict[str, Any] | None,
        conversation: Conversation | None,
        emit: Callable[..., None],
        new_item_id: Callable[[], str],
    ) -> None:
        self.items: list[Item] = []
        self.text = ""
        self.audio_bytes = 0
        self._response_id = response_id
        self._audio_format = audio_format
        self._encoder: Converter | None = None
        self._conversation = conversation
        self._emit = emit
        self._new_item_id = new_item_id
        self._message: Item | None = None
        self._previous: str | None = None

    def write(self, text: str) -> None:
        message = self._open_message()
        message.data["content"][0]["text"] += text
        self.text += text
        self._emit("response.output_text.delta", **self._place(message), content_index=0, delta=text)

    def begin_clause(self, clause: str) -> None:
        """Tell the words whose sound follows."""
        message = self._open_message()
        message.data["content"][0]["transcript"] += clause
        message.spoken.append(Spoken(clause, 0))
        self.text += clause
        self._emit("response.output_audio_transcript.delta", **self._place(message), content_index=0, delta=clause)

    def sound(self, pcm: bytes) -> None:
        """Hand over a piece of the sound of the clause begun last."""
        message = self._open_message()
        clause = message.spoken[-1]
        message.spoken[-1] = Spoken(clause.text, clause.n_bytes + len(pcm))
        self.audio_bytes += len(pcm)
        if self._encoder:
            self._emit_sound(message, self._encoder.convert(pcm))

    def call(self, call: ToolCall) -> None:
        self.close_message("completed")
        self.text += call.name + call.arguments
        fields = {"call_id": call.call_id, "name": call.name}
        item = self._add_item({"type": "function_call", **fields, "arguments": ""})
        place = {**self._place(item), "call_id": call.call_id}
        self._emit("response.function_call_arguments.delta", **place, delta=call.arguments)
        self._emit("response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments)
        item.data["arguments"] = call.arguments
        self._finish_item(item, "completed")

    def close_message(self, status: str) -> None:
        """Finish the open message, if there is one."""
        message, self._message = self._message, None
        if message is None:
            return
        part = {**message.data["content"][0]}
        part["type"] = part["type"].removeprefix("output_")
        place = {**self._place(message), "content_index": 0}
        if self._encoder:
            self._emit_sound(message, self._encoder.finish())
            self._emit("response.output_audio.done", **place)
            self._emit("response.output_audio_transcript.done", **place, transcript=part["transcript"])
        else:
            self._emit("response.output_text.done", **place, text=part["text"])
        self._emit("response.content_part.done", **place, part=part)
        self._finish_item(message, status)

    def _emit_sound(self, message: Item, audio: bytes) -> None:
        if audio:
            delta = base64.b64encode(audio).decode()
            self._emit("response.output_audio.delta", **self._place(message), content_index=0, delta=delta)

    def _open_message(self) -> Item:
        if self._message is None:
            self._message = self._add_item({"type": "message", "role": "assistant", "content": []})
            self._encoder = encoder_of(self._audio_format) if self._audio_format else None
            # A part is "audio" where the same thing in an item is "output_audio"; clients insist on both names.
            part = {"type": "audio", "transcript": ""} if self._encoder else {"type": "text", "text": ""}
            self._message.data["content"].append({**part, "type": f"output_{part['type']}"})
            self._emit("response.content_part.added", **self._place(self._message), content_index=0, part=part)
        return self._message

    def _add_item(self, fields: dict[str, Any]) -> Item:
        item = Item({"id": self._new_item_id(), "object": "realtime.item", "status": "in_progress", **fields})
        self.items.append(item)
        if self._conversation is not None:
            self._previous = self._conversation.add(item)
        self._emit("response.output_item.added", **self._index(), item=item.snapshot())
        self._emit_in_conversation("conversation.item.added", item)
        return item

    def _finish_item(self, item: Item, status: str) -> None:
        item.data["status"] = status
        self._emit_in_conversation("conversation.item.done", item)
        self._emit("response.output_item.done", **self._index(), item=item.snapshot())

    def _emit_in_conversation(self, kind: str, item: Item) -> None:
        if self._conversation is not None:
            self._emit(kind, previous_item_id=self._previous, item=item.snapshot())

    def _place(self, item: Item) -> dict[str, Any]:
        return {**self._index(), "item_id": item.id}

    def _index(self) -> dict[str, Any]:
        return {"response_id": self._response_id, "output_index": len(self.items) - 1}
