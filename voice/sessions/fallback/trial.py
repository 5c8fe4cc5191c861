"""Dial models without a caller and at nobody's cost, to see whether they answer and how soon."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from asgiref.sync import async_to_sync

from voice.models import Agent, CatalogueModel, Session
from voice.realtime_events import InvalidEvent, parse
from voice.sessions.connect import endpoint_of
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_WITHIN_S = 10.0
_LONGEST_CODE = 80


@dataclass(frozen=True, slots=True)
class Trial:
    """`code` is empty when session.created came, `took_ms` after dialling; else it is what went wrong."""

    took_ms: int
    code: str = ""


def try_model(model: CatalogueModel) -> Trial:
    """Dial a realtime model as a call would, with the operator's own keys, and hang up. Takes ten seconds at most."""
    [trial] = try_models([model])
    return trial


def try_models(models: Sequence[CatalogueModel]) -> list[Trial]:
    """Dial several at once, as `try_model` does one and in its time; the trials are in the models' order."""
    return async_to_sync(_try_each)([endpoint_of(model, Agent(), Session()) for model in models])


async def _try_each(endpoints: Sequence[Endpoint]) -> list[Trial]:
    trials = await asyncio.gather(*map(_try, endpoints), return_exceptions=True)
    return [_broken(trial) if isinstance(trial, BaseException) else trial for trial in trials]


def _broken(mistake: BaseException) -> Trial:
    # One that we cannot even dial must not keep the others from being looked at.
    log.error("a model could not be tried", error=type(mistake).__name__)
    return Trial(0, "trial_failed")


async def _try(endpoint: Endpoint) -> Trial:
    began = time.monotonic()
    code = await _code_of_first_event(endpoint)
    return Trial(round((time.monotonic() - began) * 1000), code)


async def _code_of_first_event(endpoint: Endpoint) -> str:
    try:
        async with asyncio.timeout(_WITHIN_S):
            event = await _first_event(endpoint)
    except TimeoutError:
        return "upstream_timeout"
    except InvalidEvent:
        return "upstream_garbage"
    except UpstreamError as error:
        return error.code
    if event["type"] == "session.created":
        return ""
    error_told = event.get("error")
    code = error_told.get("code") if isinstance(error_told, Mapping) else None
    return code[:_LONGEST_CODE] if isinstance(code, str) and code else "upstream_garbage"


async def _first_event(endpoint: Endpoint) -> dict[str, Any]:
    upstream = await registry.dial(endpoint, timeout_s=_WITHIN_S)
    try:
        return parse(await anext(aiter(upstream)))
    finally:
        await upstream.close()
