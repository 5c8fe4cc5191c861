"""What a customer's Realtime client may send, checked against the catalogue. Pure; docs/realtime-endpoint.md lists it.

An event is read once. One that breaks no rule is passed on as the very bytes that came; only session.update and
response.create are written anew, because both decide about money. Audio is not even parsed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from voice.audio import input_tokens_of
from voice.sessions.programs.client import Appended, ClientEvent, Refusal, ResponseWanted, Said, SessionWanted
from voice.sessions.state import tokens_at_most

APPEND_CHARS_MAX = 15 * 1024 * 1024
ITEM_CHARS_MAX = 12 * 1024 * 1024
EVENT_CHARS_MAX = 1024 * 1024
EVENT_ID_CHARS_MAX = 512
MODEL_CHARS_MAX = 120

# Generous: what a picture counts in a context is not published for Realtime models.
_IMAGE_TOKENS = 2000
_ITEM_TOKENS = 12
_IMAGE_URL = re.compile(r"data:image/(?:png|jpe?g);base64,", re.IGNORECASE)

_SPACE = rb"[ \t\r\n]*"
_EVENT_ID = rb'"event_id"' + _SPACE + rb":" + _SPACE + rb'"[^"\\]{0,512}"' + _SPACE
_APPEND_HEAD = re.compile(
    _SPACE + rb"\{" + _SPACE
    + rb"(?:" + _EVENT_ID + rb"," + _SPACE + rb")?"
    + rb'"type"' + _SPACE + rb":" + _SPACE + rb'"input_audio_buffer\.append"' + _SPACE + rb"," + _SPACE
    + rb"(?:" + _EVENT_ID + rb"," + _SPACE + rb")?"
    + rb'"audio"' + _SPACE + rb":" + _SPACE + rb'"'
)  # fmt: skip
# As nearly every program writes it.
_USUAL_APPEND = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL = re.compile(rb'"' + _SPACE + rb"(?:," + _SPACE + _EVENT_ID + rb")?\}" + _SPACE)

# Whatever begins like these decides what is answered or how: an event of that kind unknown here could order responses
# that nobody has paid for. Any other unknown event is the model's to understand.
_OURS_TO_KNOW = ("response.", "session.", "transcription_session.")
_KNOWN = {"session.update", "response.create", "response.cancel"}

# Members that some JSON readers would find in any spelling.
_DECISIVE = {"type", "session", "response", "item"}

# The shapes of the Realtime API before it was generally available, and what replaced them.
_BETA_SESSION = {
    "modalities": "session.output_modalities",
    "voice": "session.audio.output.voice",
    "speed": "session.audio.output.speed",
    "input_audio_format": "session.audio.input.format",
    "output_audio_format": "session.audio.output.format",
    "turn_detection": "session.audio.input.turn_detection",
    "input_audio_transcription": "session.audio.input.transcription",
    "input_audio_noise_reduction": "session.audio.input.noise_reduction",
    "max_response_output_tokens": "session.max_output_tokens",
    "temperature": "",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What one session may ask for, by the catalogue.

    A program is written for the model it asks for: `max_output_tokens` and `is_reasoning` are that one's. What limits
    an answer (`output_tokens_cap`, `context_tokens`, `sees_images`) is also the one's that serves it.
    """

    model: str
    served: str
    models: tuple[str, ...]
    voices: tuple[str, ...]
    transcription_models: tuple[str, ...]
    is_reasoning: bool
    max_output_tokens: int
    sees_images: bool
    context_tokens: int
    output_tokens_cap: int


class RequestRefused(Exception):
    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(code)
        self.refusal = Refusal(code, message, param, event_id)


def read(frame: bytes, terms: Terms) -> ClientEvent:
    """Return what a frame asks for; raise RequestRefused for what cannot be done."""
    if audio := appended(frame):
        return audio
    event = parse(frame)
    event_id = _event_id(event)
    try:
        return _checked(event, event_id, frame, terms)
    except RequestRefused as problem:
        refusal = problem.refusal
        raise RequestRefused(refusal.code, refusal.message, refusal.param, event_id) from None


def parse(frame: bytes) -> dict[str, Any]:
    """Return a frame as an event whose meaning no other JSON reader can see differently; raise RequestRefused."""
    try:
        event = _decoder.decode(frame.decode())
        if b"\\" in frame:
            # Half of a surrogate pair is legal JSON but no text.
            json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestRefused("invalid_event", "The event is not valid JSON.") from None
    if not isinstance(event, dict):
        raise RequestRefused("invalid_event", "The event must be a JSON object.")
    if any(name not in _DECISIVE and name.lower() in _DECISIVE for name in event):
        raise RequestRefused("invalid_event", "The names of an event's members are in lower case.")
    if not isinstance(event.get("type"), str):
        raise RequestRefused("invalid_event", "The 'type' field is missing.", "type", _event_id(event))
    return event


def appended(frame: bytes) -> Appended | None:
    """Read an append in its usual spelling, at whose audio nobody looks; None for anything else.

    Raises RequestRefused for one that is too long.
    """
    if frame.startswith(_USUAL_APPEND):
        start = len(_USUAL_APPEND)
    elif head := _APPEND_HEAD.match(frame):
        start = head.end()
    else:
        return None
    end = frame.find(b'"', start)
    if end < 0 or frame.find(b"\\", start, end) >= 0 or _APPEND_TAIL.fullmatch(frame, end) is None:
        return None
    if end - start > APPEND_CHARS_MAX:
        raise _too_long("audio", APPEND_CHARS_MAX)
    return Appended(frame, (end - start) * 3 // 4)


def _checked(event: dict[str, Any], event_id: str | None, frame: bytes, terms: Terms) -> ClientEvent:
    match event["type"]:
        case "input_audio_buffer.append":
            return _unusual_append(event, frame)
        case "session.update":
            _check_length(frame, EVENT_CHARS_MAX)
            return _session_wanted(event, event_id, terms)
        case "response.create":
            _check_length(frame, ITEM_CHARS_MAX)
            return _response_wanted(event, event_id, terms)
        case "conversation.item.create":
            _check_length(frame, ITEM_CHARS_MAX)
            return Said(frame, event, tokens_of_item(event.get("item"), "item", terms))
        case kind if kind.startswith(_OURS_TO_KNOW) and kind not in _KNOWN:
            raise RequestRefused("invalid_value", f"Invalid value: '{kind[:80]}' is no client event.", "type")
    _check_length(frame, EVENT_CHARS_MAX)
    return Said(frame, event)


def _unusual_append(event: Mapping[str, Any], frame: bytes) -> Appended:
    audio = event.get("audio")
    if not isinstance(audio, str):
        raise RequestRefused("missing_required_parameter", "Missing required parameter: 'audio'.", "audio")
    if len(audio) > APPEND_CHARS_MAX:
        raise _too_long("audio", APPEND_CHARS_MAX)
    return Appended(frame, len(audio) * 3 // 4)


# session.update


def _session_wanted(event: Mapping[str, Any], event_id: str | None, terms: Terms) -> SessionWanted:
    session = _object(event.get("session"), "session")
    _refuse_beta(session)
    kind = session.get("type")
    if kind is None:
        raise RequestRefused(
            "missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type"
        )
    if kind != "realtime":
        message = "Only sessions of type 'realtime' are offered here."
        raise RequestRefused("invalid_value", message, "session.type")
    check_session(session, terms)
    return SessionWanted(session, event_id, tokens_of_words(session))


def check_session(session: Mapping[str, Any], terms: Terms) -> None:
    """Check the members of a session that rules speak of; the rest is the model's to judge. Raise RequestRefused."""
    model = session.get("model")
    if model is not None and model not in terms.models:
        raise _not_one_of("session.model", model, terms.models)
    _check_common(session, "session", terms)
    audio_input = _member(_member(session, "audio", "session"), "input", "session.audio")
    _check_transcription(audio_input.get("transcription"), terms)
    _check_turn_detection(audio_input.get("turn_detection"))


def _refuse_beta(session: Mapping[str, Any]) -> None:
    for old, new in _BETA_SESSION.items():
        if old in session:
            instead = f": use '{new}'" if new else ", which has nothing in its place"
            message = f"Unknown parameter: 'session.{old}'. It belongs to the retired beta of this API{instead}."
            raise RequestRefused("unknown_parameter", message, f"session.{old}")


def _check_transcription(transcription: Any, terms: Terms) -> None:
    where = "session.audio.input.transcription"
    if transcription is None:
        return
    model = _object(transcription, where).get("model")
    if model is not None and model not in terms.transcription_models:
        raise _not_one_of(f"{where}.model", model, terms.transcription_models)


def _check_turn_detection(turn_detection: Any) -> None:
    where = "session.audio.input.turn_detection"
    if turn_detection is None:
        return
    turn_detection = _object(turn_detection, where)
    for name in ("create_response", "interrupt_response"):
        if not isinstance(turn_detection.get(name), bool | None):
            raise RequestRefused(
                "invalid_value", f"Invalid value: '{where}.{name}' must be a boolean.", f"{where}.{name}"
            )
    if turn_detection.get("idle_timeout_ms") is not None:
        # It lets the model answer a silence that nobody asked about, at a cost that nobody has covered.
        message = f"'{where}.idle_timeout_ms' is not offered here: ask for a response yourself."
        raise RequestRefused("invalid_value", message, f"{where}.idle_timeout_ms")


# response.create


def _response_wanted(event: Mapping[str, Any], event_id: str | None, terms: Terms) -> ResponseWanted:
    response = _object({} if event.get("response") is None else event["response"], "response")
    for old in ("modalities", "voice", "output_audio_format", "temperature", "max_response_output_tokens"):
        if old in response:
            message = f"Unknown parameter: 'response.{old}'. It belongs to the retired beta of this API."
            raise RequestRefused("unknown_parameter", message, f"response.{old}")
    _check_common(response, "response", terms)
    if response.get("conversation") not in (None, "auto", "none"):
        raise _not_one_of("response.conversation", response["conversation"], ["auto", "none"])
    items = response.get("input")
    if items is not None and not isinstance(items, list):
        raise RequestRefused("invalid_value", "Invalid value: 'response.input' must be a list.", "response.input")
    tokens = tokens_of_words(response)
    tokens += sum(tokens_of_item(item, f"response.input[{n}]", terms) for n, item in enumerate(items or []))
    asked = response.get("max_output_tokens")
    return ResponseWanted(response, event_id, None if asked is None else output_tokens_of(asked, terms), tokens)


def output_tokens_of(asked: Any, terms: Terms) -> int:
    """Return how long a response may be whose max_output_tokens is `asked`."""
    return terms.output_tokens_cap if asked in (None, "inf") else min(int(asked), terms.output_tokens_cap)


# What both have.


def _check_common(fields: Mapping[str, Any], where: str, terms: Terms) -> None:
    _check_max_output_tokens(fields.get("max_output_tokens"), f"{where}.max_output_tokens", terms)
    _check_voice(_member(_member(fields, "audio", where), "output", f"{where}.audio").get("voice"), where, terms)
    _check_tools(fields.get("tools"), f"{where}.tools")
    if fields.get("prompt") is not None:
        message = f"'{where}.prompt' names a prompt stored with the model's provider, which this key has none of."
        raise RequestRefused("invalid_value", message, f"{where}.prompt")
    if fields.get("reasoning") is not None and not terms.is_reasoning:
        message = f"Unsupported parameter: '{where}.reasoning' is not supported by the model '{terms.model}'."
        raise RequestRefused("unknown_parameter", message, f"{where}.reasoning")
    if not isinstance(fields.get("instructions"), str | None):
        raise RequestRefused("invalid_value", f"Invalid value: '{where}.instructions'.", f"{where}.instructions")
    _check_context(fields, where, terms)


def _check_max_output_tokens(asked: Any, where: str, terms: Terms) -> None:
    if asked is None or asked == "inf":
        return
    if type(asked) is not int or not 1 <= asked <= terms.max_output_tokens:
        message = f"Invalid value: '{where}' must be between 1 and {terms.max_output_tokens}, or 'inf'."
        raise RequestRefused("invalid_value", message, where)


def _check_voice(voice: Any, where: str, terms: Terms) -> None:
    if voice is not None and voice not in terms.voices:
        raise _not_one_of(f"{where}.audio.output.voice", voice, terms.voices)


def _check_tools(tools: Any, where: str) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise RequestRefused("invalid_value", f"Invalid value: '{where}' must be a list.", where)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            # A remote tool would have the model answer again by itself, at a cost that nobody has covered.
            message = f"Invalid value: '{where}[{index}].type'. Supported values are: 'function'."
            raise RequestRefused("invalid_value", message, f"{where}[{index}].type")


def _check_context(fields: Mapping[str, Any], where: str, terms: Terms) -> None:
    # Four bytes a token is what English takes: what exceeds the context even so, can never be read.
    words = _words(fields)
    if len(words.encode()) // 4 > terms.context_tokens - terms.output_tokens_cap:
        message = f"The instructions and tools exceed this model's context of {terms.context_tokens} tokens."
        raise RequestRefused("context_length_exceeded", message, f"{where}.instructions")


def tokens_of_words(fields: Mapping[str, Any]) -> int:
    """Bound the tokens of the instructions and tools of a session or response from above; 0 when it names none."""
    words = _words(fields)
    return tokens_at_most(words) if words else 0


def _words(fields: Mapping[str, Any]) -> str:
    tools = fields.get("tools")
    return (fields.get("instructions") or "") + (json.dumps(tools) if tools else "")


# Items.


def tokens_of_item(item: Any, where: str, terms: Terms) -> int:
    """Bound the tokens of an item from above; raise RequestRefused for a picture that would not be seen."""
    item = _object(item, where)
    content = item.get("content")
    parts: Sequence[Any] = content if isinstance(content, list) else []
    tokens = [_tokens_of_part(part, f"{where}.content[{n}]", terms) for n, part in enumerate(parts)]
    written = (item.get(name) for name in ("name", "arguments", "output"))
    return _ITEM_TOKENS + sum(tokens) + sum(tokens_at_most(text) for text in written if isinstance(text, str))


def _tokens_of_part(part: Any, where: str, terms: Terms) -> int:
    if not isinstance(part, dict):
        return 0
    tokens = sum(tokens_at_most(part[name]) for name in ("text", "transcript") if isinstance(part.get(name), str))
    if part.get("type") == "input_image":
        _check_image(part, where, terms)
        tokens += _IMAGE_TOKENS
    if isinstance(audio := part.get("audio"), str):
        # Twice: what is said in it is read beside it.
        tokens += 2 * input_tokens_of(len(audio) * 3 // 4)
    return tokens


def _check_image(part: Mapping[str, Any], where: str, terms: Terms) -> None:
    if not terms.sees_images:
        message = f"Invalid value: 'input_image'. The model '{terms.served}' does not support image input."
        raise RequestRefused("invalid_value", message, f"{where}.type")
    url = part.get("image_url")
    if not isinstance(url, str) or _IMAGE_URL.match(url) is None:
        message = f"Invalid value: '{where}.image_url' must be a data URI of a PNG or JPEG picture."
        raise RequestRefused("invalid_value", message, f"{where}.image_url")


# Reading.


def _event_id(event: Any) -> str | None:
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) and len(event_id) <= EVENT_ID_CHARS_MAX else None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        raise RequestRefused("missing_required_parameter", f"Missing required parameter: '{where}'.", where)
    if not isinstance(value, dict):
        raise RequestRefused("invalid_value", f"Invalid value: '{where}' must be an object.", where)
    return value


def _member(fields: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return {} if value is None else _object(value, f"{where}.{name}")


def _check_length(frame: bytes, most: int) -> None:
    if len(frame) > most:
        raise _too_long("event", most)


def _too_long(what: str, most: int) -> RequestRefused:
    return RequestRefused("invalid_value", f"The {what} is longer than {most} characters.")


def _not_one_of(where: str, value: Any, allowed: Sequence[str]) -> RequestRefused:
    shown = value[:80] if isinstance(value, str) else type(value).__name__
    values = ", ".join(f"'{name}'" for name in allowed)
    return RequestRefused(
        "invalid_value", f"Invalid value: '{shown}' for '{where}'. Supported values are: {values}.", where
    )


def _unambiguous(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that two JSON readers may read differently: we would check one event and pass on another."""
    read = dict(members)
    if len(read) != len(members):
        raise ValueError("a member is there twice")
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_decoder = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_refuse_constant)
