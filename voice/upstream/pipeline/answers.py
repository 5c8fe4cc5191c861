"""The responses of one session: the conversation's own, those beside it, and the one that is begun before its order."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from voice.upstream.base import Endpoint
from voice.upstream.pipeline.ahead import Ahead, Manner
from voice.upstream.pipeline.background import Background
from voice.upstream.pipeline.conversation import Conversation, Item
from voice.upstream.pipeline.parts import Parts
from voice.upstream.pipeline.requests import InvalidRequest, Order, most_output_tokens
from voice.upstream.pipeline.response import Response, chat_request
from voice.upstream.pipeline.transcription import Transcription
from voice.upstream.pipeline.usage import Piece

# Responses out of band that may run beside the conversation's own.
MAX_ASIDES = 4


@dataclass(frozen=True, slots=True)
class _Running:
    """A response and the task that makes it."""

    response: Response
    task: "asyncio.Task[None]"

    def is_meant(self, response_id: str) -> bool:
        """Say whether a cancellation is for this one: it names it, or nothing and this is the conversation's own."""
        named = response_id == self.response.id if response_id else not self.response.is_out_of_band
        return named and not self.response.done

    def cancel(self, reason: str) -> None:
        """End it at once; the requests behind it end on their own."""
        self.response.cancel(reason)
        self.task.cancel()


class Answers:
    """Starts and ends responses. `have_been_heard` once one was to be spoken."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        parts: Parts,
        background: Background,
        conversation: Conversation,
        transcription: Transcription,
        emit: Callable[..., None],
        new_id: Callable[[str], str],
    ) -> None:
        self.have_been_heard = False
        self._endpoint = endpoint
        self._ahead = Ahead(parts, background) if endpoint.costs_nothing else None
        self._parts = self._ahead.parts() if self._ahead else parts
        self._background = background
        self._conversation = conversation
        self._transcription = transcription
        self._emit = emit
        self._new_id = new_id
        self._own: _Running | None = None
        self._asides: list[_Running] = []
        self._read_before: list[Piece] = []

    @property
    def is_one_running(self) -> bool:
        """Say whether the conversation's own response is."""
        return self._own is not None and not self._own.response.done

    def refuse_if_too_many(self, order: Order) -> None:
        """Raise InvalidRequest when one more such response may not run now."""
        if not order.is_out_of_band:
            if self.is_one_running:
                message = "Conversation already has an active response in progress."
                raise InvalidRequest("conversation_already_has_active_response", message)
            return
        self._asides = [aside for aside in self._asides if not aside.response.done]
        if len(self._asides) >= MAX_ASIDES:
            raise InvalidRequest("rate_limit_exceeded", f"{MAX_ASIDES} responses are running out of band.")

    def start(self, order: Order, reads: Iterable[Item] | None = None) -> None:
        """Begin a response to the items in `reads`, or to the conversation."""
        response = Response(
            response_id=self._new_id("resp"),
            order=order,
            reads=self._conversation if reads is None else reads,
            parts=self._parts,
            conversation=self._conversation,
            context_tokens=self._endpoint.capabilities.context_tokens,
            max_output_tokens=most_output_tokens(order.session, self._endpoint.capabilities),
            voice=self._voice_of(order.session),
            read_before=self._last_read(),
            emit=self._emit,
            new_item_id=lambda: self._new_id("item"),
        )
        # Only the conversation's own response fails for a turn that could not be understood.
        heard = self._transcription.settled if order.is_out_of_band else self._transcription.all_written
        running = _Running(response, self._background.start(response.run(heard)))
        if order.is_out_of_band:
            self._asides.append(running)
        else:
            self.have_been_heard = self.have_been_heard or order.session["output_modalities"] == ["audio"]
            self._own = running

    def begin_early(self, session: dict[str, Any], item: Item) -> None:
        """Begin the answer to an item that the conversation will probably end with, where that costs nothing."""
        if self._ahead is None or self.is_one_running:
            return
        items, max_tokens = [*self._conversation, item], most_output_tokens(session, self._endpoint.capabilities)
        try:
            _, _, request = chat_request(session, items, self._endpoint.capabilities.context_tokens, max_tokens)
        except InvalidRequest:
            return  # Whoever orders the response is told why it cannot be.
        manner = Manner(self._voice_of(session), session["audio"]["output"]["speed"])
        self._ahead.begin(request, manner if session["output_modalities"] == ["audio"] else None)

    def cancel(self, response_id: str) -> None:
        """End the response with this id, or ("") the conversation's own; raise InvalidRequest if it is not running."""
        for running in (self._own, *self._asides):
            if running is not None and running.is_meant(response_id):
                running.cancel("client_cancelled")
                return
        message = "Cancellation failed: no active response found"
        raise InvalidRequest("response_cancel_not_active", message, "response_id" if response_id else None)

    def interrupt(self, reason: str) -> None:
        """End the conversation's own response, if it is running."""
        if self._own is not None and self.is_one_running:
            self._own.cancel(reason)

    def _last_read(self) -> list[Piece]:
        if self._own is not None:
            # One that ended before it read anything leaves what was read before it.
            self._read_before = self._own.response.read or self._read_before
        return self._read_before

    def _voice_of(self, session: dict[str, Any]) -> str:
        # The operator's voice exists on the server at hand; what clients ask for by habit need not.
        return self._endpoint.voice or str(session["audio"]["output"]["voice"])
