"""What a Realtime client says by connecting: its key, its subprotocols, and what the address asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from accounts.client_ip import client_ip_of

SUBPROTOCOL = "realtime"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_BETA_SUBPROTOCOL = "openai-beta."
_BETA_HEADER = "realtime"
_KEY_CHARS_MAX = 200
_QUERY_CHARS_MAX = 4000
_VALUE_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Handshake:
    """`subprotocol` is the one to answer with, None where none was offered. `query`: what the address asks for."""

    key: str = field(repr=False)
    origin: str
    client_ip: str
    subprotocol: str | None
    is_beta: bool
    query: Mapping[str, str]


def read_handshake(scope: Mapping[str, Any]) -> Handshake:
    headers = _headers(scope)
    offered = [str(name) for name in scope.get("subprotocols") or []]
    return Handshake(
        key=_key(headers, offered),
        origin=headers.get("origin", ""),
        client_ip=_client_ip(scope, headers),
        subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None,
        is_beta=_BETA_HEADER in headers.get("openai-beta", "") or any(n.startswith(_BETA_SUBPROTOCOL) for n in offered),
        query=_query(scope),
    )


def forget_headers(scope: Mapping[str, Any]) -> None:
    """Let go of what was said by connecting, keys and cookies included: servers keep a scope as long as its call."""
    headers = scope.get("headers")
    # In place, for every router on the way has a copy of the scope.
    if isinstance(headers, list):
        headers.clear()


def _key(headers: Mapping[str, str], offered: list[str]) -> str:
    """Return the key a client shows; never one in the address, which ends up in logs."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    in_subprotocol = (name.removeprefix(_KEY_SUBPROTOCOL) for name in offered if name.startswith(_KEY_SUBPROTOCOL))
    shown = bearer.strip() if scheme.lower() == "bearer" else ""
    key = shown or headers.get("api-key", "").strip() or next(in_subprotocol, "")
    return key if len(key) <= _KEY_CHARS_MAX else ""


def _query(scope: Mapping[str, Any]) -> dict[str, str]:
    text = bytes(scope.get("query_string") or b"").decode("latin-1")
    if len(text) > _QUERY_CHARS_MAX:
        return {}
    try:
        pairs = parse_qsl(text, max_num_fields=20)
    except ValueError:
        return {}
    return {name: value[:_VALUE_CHARS_MAX] for name, value in pairs}


def _client_ip(scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    meta = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    meta["REMOTE_ADDR"] = (scope.get("client") or ("", 0))[0]
    return client_ip_of(SimpleNamespace(META=meta))


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers") or []:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
