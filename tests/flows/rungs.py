"""Models that come to a call one after the other: what each dial finds, and what a call did with them."""

import asyncio
from uuid import UUID

from channels.db import database_sync_to_async as in_thread

from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.flows.books import Books, closed_books
from tests.flows.caller import Listener
from tests.flows.script import SESSION_STEP, SPEECH
from tests.flows.visits import admitted
from voice.admission import tickets
from voice.models import Agent
from voice.sessions import records
from voice.sessions.runner import Ended, run_call
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError

NEXT_USAGE = usage(text_in=900, text_out=10, audio_out=30)


class Dialled:
    """Stands in for registry.dial: each dial is answered with the next of `answers`, and then nothing answers."""

    def __init__(self, *answers: ScriptedUpstream | UpstreamError) -> None:
        self._left = list(answers)
        self.upstreams = [answer for answer in answers if isinstance(answer, ScriptedUpstream)]
        self.endpoints: list[Endpoint] = []

    @property
    def models(self) -> list[str]:
        return [endpoint.model for endpoint in self.endpoints]

    async def dial(self, endpoint: Endpoint, *, timeout_s: float) -> ScriptedUpstream:
        self.endpoints.append(endpoint)
        answer = self._left.pop(0) if self._left else UpstreamDropped("upstream_unreachable", retryable=False)
        if isinstance(answer, UpstreamError):
            raise answer
        return answer


class LiveCall:
    """A call that begins now: `caller` is one end of it, the dialled upstreams are the other."""

    def __init__(self, session_id: UUID, caller: Listener, task: "asyncio.Task[Ended]") -> None:
        self.session_id, self.caller, self.task = session_id, caller, task

    async def ends(self) -> tuple[Ended, Books]:
        """Return how it ended and its books, which are closed and agree with the receipt."""
        async with asyncio.timeout(30):
            ended = await self.task
        books = await in_thread(closed_books)(self.session_id)
        assert ended.receipt.total_micro == books.cost_micro
        assert books.balance.held_micro == 0
        return ended, books

    async def rungs(self) -> list[tuple[str, str, str]]:
        """Return the model, kind and reason of each rung that was written down."""
        session = (await in_thread(closed_books)(self.session_id)).session
        return [row async for row in session.rungs.values_list("model_slug", "kind", "reason")]


async def call_to(agent: Agent, **fields: object) -> LiveCall:
    """Begin a call of an admitted session."""
    call = await in_thread(lambda: records.begin(tickets.redeem(admitted(agent, **fields))))()
    caller = Listener()
    return LiveCall(call.session_id, caller, asyncio.create_task(run_call(call, caller)))


def going_on(*items: str, words: str = "And so on.", number: int = 2, **changes: object) -> list[Step]:
    """Return the steps of an upstream that is told these things and goes on; `number` makes its ids its own."""
    answer = spoken_answer(words, SPEECH, response_id=f"resp_{number}", item_id=f"item_{number}", used=NEXT_USAGE)
    return [SESSION_STEP, *told(*items), Step("response.create", **{"emit": answer, **changes})]


def told(*items: str) -> list[Step]:
    """Return the steps in which an upstream is told what was said: "caller: ...", "agent: ..." or "note: ..."."""
    roles = {"caller": ("user", "input_text"), "agent": ("assistant", "output_text"), "note": ("system", "input_text")}
    steps = []
    for item in items:
        speaker, _, text = item.partition(": ")
        role, kind = roles[speaker]
        content = [{"type": kind, "text": text}]
        echo = {"id": f"sofar_{len(steps)}", "type": "message", "role": role, "content": content}
        added = {"type": "conversation.item.added", "previous_item_id": None, "item": echo}
        fields = {"item": {"role": role, "content": content}}
        steps.append(Step("conversation.item.create", emit=[added], fields=fields))
    return steps
