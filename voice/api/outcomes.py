"""What became of a request to a model: its hold is settled, and the model's breaker is told how the model did."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from django.db import DatabaseError

from voice.api.providers import error_object, failure_of
from voice.catalogue import breaker
from voice.catalogue.http_models import HttpModel
from voice.metering.executor import in_ledger_thread
from voice.metering.http_requests import settle_request
from voice.metering.usage import Quantities
from voice.models import ApiRequest
from voice.sessions.fallback.failures import failure_of_error
from voice.upstream.errors import UpstreamError, refusal_of
from voice.upstream.http_provider import ProviderRefused

__all__ = ["asking", "is_of_the_model", "settle"]

log = structlog.get_logger(__name__)

# The statuses with which a provider says that this one request is wrong: nothing is wrong with the model.
_OF_THE_REQUEST = {400, 413, 415, 422}
# As is an answer longer than anybody could have asked for.
_OF_THE_ANSWER = {"upstream_flooded"}


@asynccontextmanager
async def asking(request: ApiRequest, model: HttpModel) -> AsyncIterator[None]:
    """While the block runs, a model is asked: should that fail, nothing is charged, and the client is told why.

    Raises InvalidRequest in place of UpstreamError, its cause, and whatever else was raised.
    """
    try:
        yield
    except UpstreamError as error:
        await in_ledger_thread(_settle, request, model, {}, failure=error)
        raise failure_of(error) from error
    except BaseException:
        await in_ledger_thread(settle_request, request.id, {}, model.card)
        raise


async def settle(
    request: ApiRequest,
    model: HttpModel,
    quantities: Quantities,
    *,
    reported: Any,
    is_estimated: bool,
    is_whole: bool = True,
    failure: UpstreamError | None = None,
) -> None:
    """Charge what a model has given. `is_whole`: to its end, else it was cut off, by `failure` or by the client."""
    usage: dict[str, Any] = {"reported": reported, "is_estimated": is_estimated}
    await in_ledger_thread(_settle, request, model, quantities, usage, is_whole=is_whole, failure=failure)


def _settle(
    request: ApiRequest,
    model: HttpModel,
    quantities: Quantities,
    usage: Mapping[str, Any] | None = None,
    *,
    is_whole: bool = False,
    failure: UpstreamError | None = None,
) -> None:
    settle_request(request.id, quantities, model.card, **(usage or {}))
    if model.is_embedded:
        # Nothing stands in for it: kept away, it would answer nobody, where a moment later it would.
        return
    slug = model.served.slug
    try:
        if failure is None and is_whole:
            breaker.answered(slug)
        elif failure is not None and (code := _code_of(failure)):
            breaker.failed(slug, code, request.organisation_id)
    except DatabaseError:
        log.warning("a model's breaker was not told", model=slug)


def is_of_the_model(error: UpstreamError) -> bool:
    """Say whether a failure is the model's, and not the request's: another model may answer."""
    return bool(_code_of(error))


def _code_of(error: UpstreamError) -> str:
    """Return a failure's code as calls name it; "" for one that says nothing of the model."""
    if not isinstance(error, ProviderRefused):
        return "" if error.code in _OF_THE_ANSWER else error.code
    if error.status in _OF_THE_REQUEST:
        return ""
    told = failure_of_error(error_object(error.body))
    return (told or refusal_of(error.status)).code
