"""A request whose model fails before anything of its answer was sent is answered by what stands in for that, once."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from voice.admission.refusals import Refusal
from voice.api.errors import InvalidRequest
from voice.api.outcomes import is_of_the_model
from voice.catalogue.http_models import HttpModel
from voice.metering.executor import in_ledger_thread
from voice.upstream.errors import UpstreamError, UpstreamTimeout

log = structlog.get_logger(__name__)


class Job(Protocol):
    """A request that has been admitted."""

    @property
    def model(self) -> HttpModel: ...


J = TypeVar("J", bound=Job)
T = TypeVar("T")
# Admits a request to its model, or to what stands in for one that has failed, at the prices of whichever it is.
Admit = Callable[[HttpModel | None], J]


async def answered(admit: Admit[J], ask: Callable[[J], Awaitable[T]]) -> tuple[J, T]:
    """Return the job that was done and its answer. Raises Refusal, and InvalidRequest with the first one's failure."""
    job = await in_ledger_thread(admit, None)
    try:
        return job, await ask(job)
    except InvalidRequest as failure:
        if not _may_be_stood_in_for(failure):
            raise
        try:
            stand_in = await in_ledger_thread(admit, job.model)
            answer = await ask(stand_in)
        except (Refusal, InvalidRequest):
            # Nothing stands in, or it cannot be paid, does not take this request or fails as well.
            raise failure from None
        log.info("a model was stood in for", model=job.model.served.slug, by=stand_in.model.served.slug)
        return stand_in, answer


def _may_be_stood_in_for(failure: InvalidRequest) -> bool:
    # Who has waited for minutes is not made to wait for as long again: their own limit is near.
    error = failure.__cause__
    return isinstance(error, UpstreamError) and not isinstance(error, UpstreamTimeout) and is_of_the_model(error)
