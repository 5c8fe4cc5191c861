"""The three models a pipeline is made of, as the pipeline sees them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the chat model wants called, complete; `arguments` is the JSON it wrote."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatTokens:
    """What a chat model counted itself; `cached` is part of `read`."""

    read: int
    cached: int
    written: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer; `cut_off` when the chat model ran into its own token limit."""

    cut_off: bool
    tokens: ChatTokens | None = None


ChatDelta = TextDelta | ToolCall | Finished


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What the chat model reads: messages and tools in the shapes of the chat completions API."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    tool_choice: Any
    max_tokens: int


class SpeechToText(Protocol):
    async def transcribe(self, pcm: bytes, *, language: str, prompt: str) -> str:
        """Return the words in 24 kHz PCM16, "" when there are none; raise UpstreamError."""


class ChatModel(Protocol):
    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        """Yield the answer as it is written, Finished last; raise UpstreamError."""


class TextToSpeech(Protocol):
    def speak(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        """Yield 24 kHz PCM16 in whole samples as it is spoken; raise UpstreamError."""


@dataclass(frozen=True, slots=True)
class Parts:
    """`bills_words`: the chat model bills its own tokens and the voice its characters, so usage counts these."""

    speech_to_text: SpeechToText
    chat_model: ChatModel
    text_to_speech: TextToSpeech
    bills_words: bool = False
