"""A tool to test with."""

from voice.tools.spec import ToolSpec


def make_spec(url: str, **changes) -> ToolSpec:
    fields = {
        "id": "tool-1",
        "name": "look_up_order",
        "description": "Look up an order by its number.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "string"}},
            "required": ["number"],
            "additionalProperties": False,
        },
        "url": url,
        "timeout_ms": 10_000,
        "filler": "",
        "secret_header": "X-Api-Key",
        "secret": "very secret",
    }
    return ToolSpec(**fields | changes)
