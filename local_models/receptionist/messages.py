"""What the receptionist is given and what it gives back, free of HTTP."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """A function the receptionist asks for, or asked for earlier."""

    name: str
    arguments: Json


@dataclass(frozen=True)
class Message:
    """One message of the conversation. `calls` only on assistant messages."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Tool:
    """A function on offer. `parameters` is its JSON Schema."""

    name: str
    description: str = ""
    parameters: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What to say, and at most one function to call after saying it."""

    text: str
    call: ToolCall | None = None
