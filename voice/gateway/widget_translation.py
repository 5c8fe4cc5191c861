"""GA events as a browser is told of them: the thin codec between the inner language and the widget protocol."""

from collections.abc import Callable, Mapping
from typing import Any

from voice import realtime_events
from voice.gateway.widget_protocol import serialise
from voice.realtime_events import AudioDelta
from voice.transcripts.recorder import heard_text

# Captions kept while a call runs; an item beyond this is long over.
_CAPTIONS_MAX = 64

# What is not told where an agent's owner has switched captions off; what is typed is always shown.
_SPOKEN_WORDS = {
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
}

Messages = list[str]


class WidgetTranslation:
    """One a call: remembers what its browser is to know, and the agent's captions until they are final.

    `sending` is the item whose audio is on its way, and `speaking` the same unless it has paused. `used_micro`,
    `model_served` and `is_voice` are what was told last.
    """

    def __init__(self, *, captions: bool = True, model: str = "", is_voice: bool = True) -> None:
        self._shows_captions = captions
        self.model_served, self.is_voice, self.used_micro = model, is_voice, 0
        self.sending: str | None = None
        self.speaking: str | None = None
        self._captions: dict[str, str] = {}
        self._cut: set[str] = set()
        self._state = ""
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Messages]] = {
            "input_audio_buffer.speech_started": lambda event: self._changed("listening"),
            "input_audio_buffer.speech_stopped": lambda event: self._changed("thinking"),
            "conversation.item.added": self._on_item_added,
            "conversation.item.input_audio_transcription.delta": self._on_caller_delta,
            "conversation.item.input_audio_transcription.completed": self._on_caller_final,
            "response.created": lambda event: self._changed("thinking"),
            "response.output_audio_transcript.delta": self._on_agent_delta,
            "response.output_text.delta": self._on_agent_delta,
            "response.output_audio_transcript.done": self._on_agent_final,
            "response.output_text.done": self._on_agent_final,
            "response.output_audio.done": self._on_audio_done,
            "response.done": self._on_response_done,
            "parley.paused": self._on_paused,
            "parley.working": lambda event: self._changed("working"),
            "parley.interrupted": self._on_interrupted,
            "parley.truncated": self._on_truncated,
            "parley.meter_changed": self._on_meter_changed,
            "parley.notice": lambda event: [serialise("notice", code=event["code"], message=event["message"])],
            "parley.model_changed": self._on_model_changed,
            "parley.task_completed": lambda event: [
                serialise("task.completed", name=event["name"], fields=event["fields"])
            ],
        }

    @property
    def state(self) -> str:
        """What the assistant does; before anything was said, it is about to."""
        return self._state or "thinking"

    def goes_on(self, *, used_micro: int, is_listening: bool, sending: str | None) -> None:
        """Begin where another process left off, with the item whose audio it was sending."""
        self.used_micro, self.sending = used_micro, sending
        self._state = "listening" if is_listening else ""

    def before_audio(self, delta: AudioDelta) -> Messages:
        """Return what must be said before a binary frame: whose it is, and that the assistant speaks."""
        self.speaking = delta.item_id
        if delta.item_id == self.sending:
            return self._changed("speaking")
        self.sending = delta.item_id
        return [*self._changed("speaking"), serialise("audio.begin", item_id=delta.item_id)]

    def messages(self, frame: bytes, event: Mapping[str, Any] | None = None) -> Messages:
        """Return what a browser is told of an event, read already or not; most events mean nothing to it."""
        kind = realtime_events.event_type(frame)
        if kind in _SPOKEN_WORDS and not self._shows_captions:
            return []
        handler = self._handlers.get(kind)
        return handler(event or realtime_events.parse(frame)) if handler else []

    def _changed(self, state: str) -> Messages:
        if state == self._state:
            return []
        self._state = state
        return [serialise("state.changed", state=state)]

    def _on_item_added(self, event: Mapping[str, Any]) -> Messages:
        # A typed turn has its words in it; a spoken one is captioned when it has been transcribed.
        item = event["item"]
        if item.get("role") != "user":
            return []
        text = " ".join(part["text"] for part in item.get("content") or [] if part.get("type") == "input_text")
        return [_final("caller", str(item["id"]), text)] if text else []

    def _on_caller_delta(self, event: Mapping[str, Any]) -> Messages:
        return [_delta("caller", event["item_id"], str(event.get("delta") or ""))]

    def _on_caller_final(self, event: Mapping[str, Any]) -> Messages:
        text = str(event.get("transcript") or "").strip()
        return [_final("caller", event["item_id"], text)] if text else []

    def _on_agent_delta(self, event: Mapping[str, Any]) -> Messages:
        item_id, text = str(event["item_id"]), str(event.get("delta") or "")
        if item_id in self._cut:
            return []
        self._remember(item_id, self._captions.get(item_id, "") + text)
        # Text alone is an answer too: nothing else says that a typed conversation is being answered.
        state = self._changed("speaking") if event["type"] == "response.output_text.delta" else []
        return [*state, _delta("agent", item_id, text)]

    def _on_agent_final(self, event: Mapping[str, Any]) -> Messages:
        item_id = str(event["item_id"])
        if item_id in self._cut:
            return []
        text = str(event.get("transcript") or event.get("text") or self._captions.get(item_id, ""))
        self._remember(item_id, text)
        return [_final("agent", item_id, text)]

    def _on_audio_done(self, event: Mapping[str, Any]) -> Messages:
        if event["item_id"] != self.sending:
            return []
        self.sending = self.speaking = None
        return [serialise("audio.end", item_id=event["item_id"])]

    def _on_response_done(self, event: Mapping[str, Any]) -> Messages:
        # What it asked for is being done by now: the answer is still to come.
        return [] if self.state == "working" else self._changed("listening")

    def _on_paused(self, event: Mapping[str, Any]) -> Messages:
        self.speaking = None
        return self._changed("thinking")

    def _on_interrupted(self, event: Mapping[str, Any]) -> Messages:
        self.sending = self.speaking = None
        self._cut.add(str(event["item_id"]))
        return [serialise("audio.clear", item_id=event["item_id"]), *self._changed("listening")]

    def _on_truncated(self, event: Mapping[str, Any]) -> Messages:
        if not self._shows_captions:
            return []
        item_id = str(event["item_id"])
        text = heard_text(self._captions.get(item_id, ""), event["heard_ms"], event["sent_ms"])
        return [_final("agent", item_id, text, interrupted=True)]

    def _on_meter_changed(self, event: Mapping[str, Any]) -> Messages:
        self.used_micro = event["used_micro"]
        return [serialise("meter.changed", used_micro=self.used_micro)]

    def _on_model_changed(self, event: Mapping[str, Any]) -> Messages:
        self.model_served, self.is_voice = event["model_served"], event["voice"]
        return [serialise("model.changed", model_served=self.model_served, reason=event["reason"], voice=self.is_voice)]

    def _remember(self, item_id: str, text: str) -> None:
        self._captions[item_id] = text
        while len(self._captions) > _CAPTIONS_MAX:
            oldest = next(iter(self._captions))
            del self._captions[oldest]
            self._cut.discard(oldest)


def _delta(speaker: str, item_id: str, text: str) -> str:
    return serialise("caption.delta", speaker=speaker, item_id=item_id, text=text)


def _final(speaker: str, item_id: str, text: str, *, interrupted: bool = False) -> str:
    return serialise("caption.final", speaker=speaker, item_id=item_id, text=text, interrupted=interrupted)
