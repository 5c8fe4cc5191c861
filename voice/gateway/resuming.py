"""The widget's calls of this process by their resume tokens: where a browser that comes back finds its own.

`find` is the one place that says whose a token is. A call that another process holds is not found here.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from voice.gateway.widget_caller import WidgetCaller
from voice.sessions.call import Call
from voice.sessions.runner import Ended

_TOKEN_BYTES = 32
# More than any network that is worth talking over breaks in a call.
_RESUMES_MAX = 100


@dataclass(eq=False, slots=True)
class ResumableCall:
    """A call that outlives its connections. `origin` is the page's that began it, and must be of all that resume it.

    Its conversation runs in a task of its own, which is in the care of the last connection's consumer: `taken` is how
    that one learns that another has it now.
    """

    call: Call
    caller: WidgetCaller
    origin: str
    conversation: asyncio.Task[Ended]
    taken: asyncio.Future[None]
    resumes: int = field(default=0)

    @property
    def is_over(self) -> bool:
        return self.conversation.done()

    def take(self) -> None:
        """Take the call out of the care of the connection before."""
        self.taken.set_result(None)
        self.taken = asyncio.get_running_loop().create_future()
        self.resumes += 1


# By keyed hash: a token itself is kept by its browser only.
_calls: dict[str, ResumableCall] = {}


def new_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)


def begin(
    token: str, call: Call, caller: WidgetCaller, origin: str, conversation: Coroutine[Any, Any, Ended]
) -> ResumableCall:
    """Let a conversation run, and be resumed by its token."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(conversation)
    resumable = ResumableCall(call, caller, origin, task, loop.create_future())
    key = _key(token)
    _calls[key] = resumable
    # A browser that lost its connection just before the end is still told how the call ended.
    task.add_done_callback(lambda _: loop.call_later(settings.RESUME_WITHIN_S, _calls.pop, key, None))
    return resumable


def find(token: str) -> ResumableCall | None:
    """Return the call that a token resumes, which may have ended a moment ago."""
    resumable = _calls.get(_key(token))
    return resumable if resumable is not None and resumable.resumes < _RESUMES_MAX else None


def stop_waiting() -> None:
    """The server is being stopped: end the calls that only wait, for nobody can come back to them."""
    for resumable in _calls.values():
        if resumable.caller.is_away:
            resumable.caller.stop()


def _key(token: str) -> str:
    return salted_hmac("voice.gateway.resuming", token, algorithm="sha256").hexdigest()
