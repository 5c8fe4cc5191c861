"""What has been said so far: the items of a conversation, as GA events show them and as a chat model reads them."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice.audio import bytes_of, input_tokens_of, ms_of, output_tokens_of
from voice.upstream.pipeline.requests import InvalidRequest, member
from voice.upstream.pipeline.usage import Piece, text_tokens_of

# Beyond these a conversation forgets its oldest items; no call comes near.
MAX_ITEMS = 400
# What is longer than the context of the models at hand could never be read.
MAX_ITEM_BYTES = 128 * 1024
MAX_ID_CHARS = 128

# A client's base64 audio, and where it stands in the event, to PCM; raises InvalidRequest.
Decode = Callable[[str, str], bytes]

_FIELDS_OF_CALLS = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
_CONTENT_OF_ROLE = {"system": {"input_text"}, "user": {"input_text", "input_audio"}, "assistant": {"output_text"}}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clause an assistant said, and how many bytes of audio it took."""

    text: str
    n_bytes: int


@dataclass(slots=True)
class Item:
    """One item. `data` is the GA item; `audio_bytes` how much a caller said, `spoken` what an assistant did.

    `unheard` is audio whose words nobody knows yet. An item that is `forgotten` is there to be read by clients only.
    """

    data: dict[str, Any]
    audio_bytes: int = 0
    spoken: list[Spoken] = field(default_factory=list)
    unheard: bytes = b""
    forgotten: bool = False

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def text(self) -> str:
        parts = self.data.get("content", [])
        return " ".join(text for part in parts if (text := part.get("text") or part.get("transcript")))

    @property
    def spoken_bytes(self) -> int:
        return sum(clause.n_bytes for clause in self.spoken)

    def snapshot(self) -> dict[str, Any]:
        return copy.deepcopy(self.data)

    def piece(self) -> Piece:
        audio_tokens = input_tokens_of(self.audio_bytes) + output_tokens_of(self.spoken_bytes)
        # A caller's words are counted as audio; only what was typed, or said by us, is text as well.
        return Piece(self.id, 0 if self.audio_bytes else text_tokens_of(self._written()), audio_tokens)

    def cut_to(self, audio_end_ms: int) -> None:
        """Forget what was not heard: whole clauses after the cut, and the last words of the clause it falls into."""
        left = bytes_of(audio_end_ms)
        heard: list[Spoken] = []
        for clause in self.spoken:
            if left <= 0:
                break
            heard.append(_beginning_of(clause, left))
            left -= clause.n_bytes
        self.spoken = heard
        for part in self.data["content"]:
            part["transcript"] = "".join(clause.text for clause in heard).rstrip()

    def _written(self) -> str:
        named = [str(self.data.get(name, "")) for name in ("name", "arguments", "output")]
        return "".join([self.text, *named])


class Conversation:
    """The items in order."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def get(self, item_id: str) -> Item | None:
        return next((item for item in self._items if item.id == item_id), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item behind another, behind all of them, or ("root") before; return the id of the one before it."""
        position = len(self._items)
        if after == "root":
            position = 0
        elif after is not None:
            position = self._position(after) + 1
        previous = self._items[position - 1].id if position else None
        self._items.insert(position, item)
        if len(self._items) > MAX_ITEMS:
            self._items.pop(0)
        return previous

    def delete(self, item: Item) -> None:
        self._items.remove(item)

    def _position(self, item_id: str) -> int:
        for position, item in enumerate(self._items):
            if item.id == item_id:
                return position
        raise InvalidRequest("invalid_value", "previous_item_id names no item.", "previous_item_id")


def fitting(
    items: Sequence[Item], instructions: str, tools: Sequence[Any], most_tokens: int, truncation: Any = "auto"
) -> tuple[list[Piece], list[Item]]:
    """Return what a response reads, oldest first: as many of the newest items as fit into most_tokens.

    `truncation` is the session's: "auto", "disabled", or a retention ratio, which leaves out more than it must: once
    that is forgotten, what is read stays the same for a while and can be cached. Raise InvalidRequest when not even the
    instructions fit, or the items do not and may not be left out.
    """
    opening = [Piece(instructions, text_tokens_of(instructions))]
    if tools:
        written = json.dumps(tools)
        opening.append(Piece(written, text_tokens_of(written)))
    left = most_tokens - sum(piece.tokens for piece in opening)
    if left < 0:
        raise InvalidRequest("context_length_exceeded", "The instructions do not fit into the model's context.")
    if isinstance(truncation, dict):
        kept = _retained(items, left, truncation)
    else:
        kept = _newest(items, left)
        if truncation == "disabled" and len(kept) < len(items):
            raise InvalidRequest("context_length_exceeded", "The conversation does not fit into the model's context.")
    return [*opening, *(item.piece() for item in kept)], kept


def _retained(items: Sequence[Item], most_tokens: int, truncation: Mapping[str, Any]) -> list[Item]:
    limit = min(most_tokens, truncation.get("token_limits", {}).get("post_instructions", most_tokens))
    remembered = [item for item in items if not item.forgotten]
    kept = _newest(remembered, limit)
    if len(kept) == len(remembered):
        return kept
    return _newest(remembered, int(limit * truncation["retention_ratio"]))


def _newest(items: Sequence[Item], most_tokens: int) -> list[Item]:
    kept: list[Item] = []
    for item in reversed(items):
        most_tokens -= item.piece().tokens
        if most_tokens < 0:
            break
        kept.insert(0, item)
    return kept


def messages_of(instructions: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return items as messages of the chat completions API."""
    outputs = {item.data["call_id"]: item.data["output"] for item in items if _is(item, "function_call_output")}
    messages = [{"role": "system", "content": instructions}] if instructions else []
    for item in items:
        if _is(item, "message"):
            messages.append({"role": item.data["role"], "content": item.text})
        elif _is(item, "function_call") and item.data["call_id"] in outputs:
            # Chat models want every call answered at once: one still waiting for its output is left out.
            messages += _call_and_answer(item.data, outputs[item.data["call_id"]])
    return messages


def chat_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a session's functions as tools of the chat completions API."""
    fields = ("name", "description", "parameters")
    return [{"type": "function", "function": {name: tool[name] for name in fields}} for tool in tools]


def chat_tool_choice(choice: Any) -> Any:
    return {"type": "function", "function": {"name": choice["name"]}} if isinstance(choice, dict) else choice


def new_item(raw: Mapping[str, Any], item_id: str, decode: Decode, where: str = "item") -> Item:
    """Return the item a client describes at `where`; raise InvalidRequest.

    `decode` reads a client's base64 audio. Audio without words is left in `unheard` of the item.
    """
    chosen_id = member(raw, "id", str, "") or item_id
    if len(chosen_id) > MAX_ID_CHARS:
        raise InvalidRequest("invalid_value", f"{where}.id is too long.", f"{where}.id")
    common = {"id": chosen_id, "object": "realtime.item", "type": raw.get("type"), "status": "completed"}
    fields = _FIELDS_OF_CALLS.get(common["type"]) if isinstance(common["type"], str) else None
    if common["type"] == "message":
        item = _message(common, raw, decode, where)
    elif fields is not None:
        item = Item(common | {name: member(raw, name, str) for name in fields})
    else:
        kinds = ["message", *_FIELDS_OF_CALLS]
        raise InvalidRequest("invalid_value", f"{where}.type must be one of {kinds}.", f"{where}.type")
    if len(json.dumps(item.data)) > MAX_ITEM_BYTES:
        raise InvalidRequest("invalid_value", f"An item may have {MAX_ITEM_BYTES} bytes.", where)
    return item


def said_item(item_id: str, pcm: bytes, transcript: str | None = None) -> Item:
    """Return the item of a caller's turn, its words mostly still unknown."""
    content = [{"type": "input_audio", "transcript": transcript}]
    data = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
    return Item({**data, "content": content}, audio_bytes=len(pcm))


def truncated_at(item: Item | None, audio_end_ms: int) -> Item:
    """Return the item to truncate if it can be, there; raise InvalidRequest."""
    if item is None:
        raise InvalidRequest("item_truncate_invalid_item_id", "There is no such item.", "item_id")
    if item.data.get("role") != "assistant" or not any(part["type"] == "output_audio" for part in item.data["content"]):
        message = "Only model output audio messages can be truncated."
        raise InvalidRequest("invalid_value", message, "item_id")
    if not 0 <= audio_end_ms <= ms_of(item.spoken_bytes):
        message = f"Audio content of {ms_of(item.spoken_bytes)}ms is already shorter than {audio_end_ms}ms."
        raise InvalidRequest("invalid_value", message, "audio_end_ms")
    return item


def _message(common: dict[str, Any], raw: Mapping[str, Any], decode: Decode, where: str) -> Item:
    role = member(raw, "role", str)
    allowed = _CONTENT_OF_ROLE.get(role)
    if allowed is None:
        raise InvalidRequest("invalid_value", f"{where}.role must be system, user or assistant.", f"{where}.role")
    parts = member(raw, "content", list)
    content = [_part(part, allowed, f"{where}.content[{index}]") for index, part in enumerate(parts)]
    sounds = [part for part in parts if isinstance(part.get("audio"), str)]
    if len(sounds) > 1:
        raise InvalidRequest("invalid_value", "An item may have one piece of audio.", f"{where}.content")
    pcm = decode(sounds[0]["audio"], f"{where}.content[{parts.index(sounds[0])}].audio") if sounds else b""
    is_unheard = bool(sounds) and sounds[0].get("transcript") is None
    item = Item({**common, "role": role, "content": content}, audio_bytes=len(pcm))
    item.unheard = pcm if is_unheard else b""
    return item


def _part(part: Any, allowed: set[str], where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "input_image":
        raise InvalidRequest("invalid_value", "This model does not support image input.", f"{where}.type")
    if kind not in allowed:
        message = f"The content of such an item must be one of {sorted(allowed)}."
        raise InvalidRequest("invalid_value", message, f"{where}.type")
    if kind != "input_audio":
        return {"type": kind, "text": member(part, "text", str)}
    if part.get("transcript") is None:
        member(part, "audio", str)
        return {"type": kind, "transcript": None}
    return {"type": kind, "transcript": member(part, "transcript", str)}


def _call_and_answer(call: Mapping[str, Any], output: str) -> list[dict[str, Any]]:
    function = {"name": call["name"], "arguments": call["arguments"]}
    tool_call = {"id": call["call_id"], "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [tool_call]},
        {"role": "tool", "tool_call_id": call["call_id"], "content": output},
    ]


def _beginning_of(clause: Spoken, n_bytes: int) -> Spoken:
    if n_bytes >= clause.n_bytes:
        return clause
    reach = len(clause.text) * n_bytes // clause.n_bytes
    # Only words heard to their end.
    ends = [index for index, letter in enumerate(clause.text[: reach + 1]) if letter.isspace()]
    return Spoken(clause.text[: ends[-1]] if ends else "", n_bytes)


def _is(item: Item, kind: str) -> bool:
    return bool(item.data["type"] == kind)
