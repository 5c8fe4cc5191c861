"""The widget's calls by their resume tokens: where a browser that comes back finds its own, here or elsewhere.

`find` says whether this process holds a call; `take_over` makes one of another process, dead or alive, this one's.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac

from voice.gateway.resume_tokens import ResumeToken
from voice.gateway.widget_caller import WidgetCaller
from voice.gateway.widget_connection import WidgetConnection
from voice.gateway.widget_protocol import serialise
from voice.metering.executor import in_ledger_thread
from voice.models import RungKind
from voice.sessions.call import Call
from voice.sessions.orders import control
from voice.sessions.runner import Ended, run_call
from voice.sessions.takeover import taking_over
from voice.sessions.takeover.handover import Handover
from voice.sessions.takeover.memory import Before, HandedOver, Memory
from voice.sessions.takeover.snapshots import Snapshots
from voice.sessions.takeover.taking_over import Taken

log = structlog.get_logger(__name__)

# More than any network that is worth talking over breaks in a call.
_RESUMES_MAX = 100
# A process that is told to let go of a call leaves its memory within milliseconds, unless it is dead.
_LAST_WORDS_WITHIN_S = 0.7


@dataclass(eq=False, slots=True)
class ResumableCall:
    """A call that outlives its connections.

    Its conversation runs in a task of its own, which is in the care of the last connection's consumer: `taken` is how
    that one learns that another has it now.
    """

    call: Call
    caller: WidgetCaller
    conversation: asyncio.Task[Ended]
    taken: asyncio.Future[None]
    resumes: int = field(default=0)

    @property
    def is_over(self) -> bool:
        return self.conversation.done()

    @property
    def is_ending(self) -> bool:
        """Whether the call is over, or ends in this very moment because its caller was away for too long."""
        return self.is_over or self.caller.is_given_up

    @property
    def is_too_late(self) -> bool:
        """Whether the caller was away too often."""
        return self.resumes >= _RESUMES_MAX

    def take(self) -> None:
        """Take the call out of the care of the connection before."""
        self.taken.set_result(None)
        self.taken = asyncio.get_running_loop().create_future()
        self.resumes += 1


# By keyed hash: a token itself is kept by its browser only.
_calls: dict[str, ResumableCall] = {}


def begin(token: ResumeToken, call: Call, caller: WidgetCaller, before: Before | None = None) -> ResumableCall:
    """Let a conversation run, and be resumed by its token: here, or by a process that takes it over."""
    loop = asyncio.get_running_loop()
    handover = None
    if settings.RESUME_WITHIN_S:
        handover = Handover(Snapshots(call.session_id, token.secret, call.generation), caller.messages, before)
    task = loop.create_task(run_call(call, caller, handover))
    resumable = ResumableCall(call, caller, task, loop.create_future())
    key = _key(token)
    _calls[key] = resumable
    task.add_done_callback(lambda _: _is_over(key, resumable))
    return resumable


def find(token: ResumeToken) -> ResumableCall | None:
    """Return the call that a token resumes, if this process holds it or held it to its end a moment ago."""
    return _calls.get(_key(token))


async def take_over(token: ResumeToken, connection: WidgetConnection, resume: Mapping[str, Any]) -> ResumableCall:
    """Go on here with the call of another process, for a browser that says with `resume` how far it was.

    Raises NotHeldOver or EndedMeanwhile.
    """
    taken = await in_ledger_thread(taking_over.take_over, token.session_id)
    call = taken.call
    if taken.may_be_held:
        await control.let_go_of(call.session_id, call.generation)
    snapshots = Snapshots(call.session_id, token.secret, call.generation)
    dumped = await snapshots.read(within_s=_LAST_WORDS_WITHIN_S)
    before = _before(taken, dumped, resume)
    if before.memory is not None:
        # Callers may have chosen otherwise since the call began.
        call = replace(call, is_voice=before.memory.is_voice and call.rung_kind != RungKind.TEXT)
    caller = WidgetCaller(
        connection,
        is_voice=call.is_voice,
        captions=call.captions,
        model=call.model_served,
        resume_within_s=settings.RESUME_WITHIN_S,
        before=before,
    )
    # Before anything that the conversation has to say.
    await connection.put_text(serialise("session.resumed", session_id=str(call.session_id), **caller.now))
    if dumped is not None and before.memory and resume["received_messages"] is not None:
        await caller.tell_again(dumped["messages"], resume["received_messages"])
    return begin(token, call, caller, before)


def _before(taken: Taken, dumped: Mapping[str, Any] | None, resume: Mapping[str, Any]) -> Before:
    memory = _memory(dumped)
    cut_off = memory.cut_to(resume["received_bytes"]) if memory else ""
    return Before(
        elapsed_s=taken.elapsed_s,
        rung=taken.rung,
        away_s=taken.away_s,
        memory=memory,
        turns=memory.turns if memory else taken.turns,
        words=memory.words if memory else taken.words,
        cut_off=cut_off,
        cut_off_id=memory.answer_id if memory and cut_off else "",
        received_bytes=resume["received_bytes"],
        received_messages=resume["received_messages"] or 0,
        used_micro=taken.used_micro,
    )


def _memory(dumped: Mapping[str, Any] | None) -> Memory | None:
    try:
        return Memory.load(dumped["memory"]) if dumped is not None else None
    except (LookupError, TypeError, ValueError):
        # That process ran another version of this program.
        log.warning("a call's memory is not understood")
        return None


def _is_over(key: str, resumable: ResumableCall) -> None:
    if _calls.get(key) is not resumable:
        return  # it was taken by another process, and has come back to this one
    task = resumable.conversation
    if not task.cancelled() and isinstance(task.exception(), HandedOver):
        del _calls[key]
        return
    # A browser that lost its connection just before the end is still told how the call ended.
    asyncio.get_running_loop().call_later(settings.RESUME_WITHIN_S, _forget, key, resumable)


def _forget(key: str, resumable: ResumableCall) -> None:
    if _calls.get(key) is resumable:
        del _calls[key]


def _key(token: ResumeToken) -> str:
    return salted_hmac("voice.gateway.resuming", token.secret.hex(), algorithm="sha256").hexdigest()
