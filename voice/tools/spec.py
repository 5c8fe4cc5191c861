"""A customer's tool as a call needs it: what the model is told of it, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """`parameters` is the JSON schema of the arguments; `timeout_ms` bounds the whole request."""

    id: str
    name: str
    description: str
    parameters: Mapping[str, Any]
    url: str
    timeout_ms: int
    filler: str = ""
    secret_header: str = ""
    # Never in a log or a traceback.
    secret: str = field(default="", repr=False)

    @property
    def definition(self) -> dict[str, Any]:
        """The GA tool definition."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
