"""The customer's own tools during a call: they run beside its audio, and the model is told what they answered."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from voice import realtime_events
from voice.realtime_events import system_text
from voice.sessions.call import Call
from voice.sessions.fallback.so_far import SoFar
from voice.sessions.gate import Order, ResponseGate
from voice.sessions.prompt import say_exactly
from voice.sessions.state import ConversationState, FunctionCall, Response
from voice.tools.calling import call_tool, refusal
from voice.tools.spec import ToolSpec

log = structlog.get_logger(__name__)

# How long a caller waits in silence before the tool's filler is said.
FILLER_AFTER_S = 1.0
# One response may want so many at once; more is a model that has lost its way.
MOST_AT_ONCE = 8

_CANNOT = "The tool cannot be used now. Tell the caller, and offer something else."
_TOO_MANY = "Too many tools at once. Wait for the others."


class CustomerTools:
    """One a call. `start` returns at once; `follow`, called by the clock, passes on what came of it."""

    def __init__(
        self,
        call: Call,
        state: ConversationState,
        gate: ResponseGate,
        send: Callable[[bytes], Awaitable[None]],
        so_far: SoFar,
    ) -> None:
        self._session_id = str(call.session_id)
        self._tools = {tool.name: tool for tool in call.tools}
        self.is_voice = call.is_voice
        self._state, self._gate, self._send, self._so_far = state, gate, send, so_far
        self._running: set[asyncio.Task[None]] = set()
        # What was asked and answered by each that is done and not passed on yet.
        self._answers: list[tuple[FunctionCall, str]] = []
        # What the model at the other end has asked for itself: of other calls it knows nothing.
        self._known: set[str] = set()
        self._filler = ""
        self._filler_due_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the model is still owed an answer."""
        return bool(self._running or self._answers)

    def has(self, name: str) -> bool:
        return name in self._tools

    def start(self, asked: FunctionCall, now: float) -> None:
        """Ask the customer's server, without waiting for it."""
        self._known.add(asked.call_id)
        if len(self._running) >= MOST_AT_ONCE:
            self._answers.append((asked, refusal(_TOO_MANY).output))
            return
        tool = self._tools[asked.name]
        if not self._running:
            self._filler, self._filler_due_at = tool.filler, now + FILLER_AFTER_S
        self._running.add(asyncio.create_task(self._run(tool, asked)))

    async def follow(self, now: float, *, is_playing: bool, is_leaving: bool) -> None:
        """Tell the model what was answered, and have it go on; say the filler to a caller who waits in silence.

        Nothing more is said while the call `is_leaving`: its goodbye was the last word.
        """
        while self._answers:
            asked, output = self._answers.pop(0)
            note = answer_in_words(asked.name, output)
            is_known = asked.call_id in self._known
            self._so_far.note(note)
            self._state.text_added(output if is_known else note)
            frame = realtime_events.function_output(asked.call_id, output) if is_known else system_text(note)
            await self._send(frame)
            # A caller who speaks is answered when they are done, and the tool's answer with them.
            if not self.is_running and not is_leaving and not self._state.caller_is_speaking:
                self._gate.ask()
        is_quiet = self._state.response is Response.NONE and not is_playing and not self._state.caller_is_speaking
        if self._running and self._filler and is_quiet and not is_leaving and now >= self._filler_due_at:
            self._say_filler()

    def moved(self, *, is_voice: bool) -> None:
        """Another model goes on: what runs was not asked for by it, and is told to it in words."""
        self._known.clear()
        self.is_voice = is_voice

    async def stop(self) -> None:
        """Break off what runs: nobody waits for it any more. What a customer's server has begun, it may finish."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, tool: ToolSpec, asked: FunctionCall) -> None:
        try:
            answered = await call_tool(tool, asked.arguments, call_id=asked.call_id, session_id=self._session_id)
        except Exception as error:  # The boundary of a task: the model must be answered, whatever is wrong with us.
            log.error("tool_not_called", tool_id=tool.id, error=type(error).__name__)
            answered = refusal(_CANNOT)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._running.discard(task)
        self._answers.append((asked, answered.output))

    def _say_filler(self) -> None:
        filler, self._filler = self._filler, ""
        # Typed conversations show that we are busy; there, a filler would only be in the way.
        if self.is_voice:
            self._gate.place(Order(partial(_filler_request, filler)))


def answer_in_words(tool_name: str, output: str) -> str:
    """Return what a model is told that goes on with a conversation in which a tool was asked."""
    return f"The tool {tool_name} has answered: {output}"


def _filler_request(filler: str, max_output_tokens: int) -> bytes:
    # No tool may be called from a filler: the one it fills for would be called again.
    return realtime_events.response_create(
        max_output_tokens=max_output_tokens, instructions=say_exactly(filler), tool_choice="none"
    )
