"""A browser as the conversation's caller, over as many connections as its network makes of the call.

The conversation's tasks read and write the connection that there is; while there is none, what they say is kept.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NoReturn

from voice.gateway.unheard import Piece, Unheard
from voice.gateway.widget_connection import ConnectionLost, WidgetConnection
from voice.gateway.widget_protocol import InvalidMessage, serialise
from voice.gateway.widget_translation import WidgetTranslation
from voice.realtime_events import AudioDelta
from voice.sessions import early
from voice.sessions.caller import (
    Audio,
    CallerBrokeProtocol,
    CallerEvent,
    CallerGone,
    CallerHungUp,
    CameBack,
    HungUp,
    Listener,
    ModeChosen,
    Played,
    ServerStopping,
    Text,
)
from voice.sessions.takeover.memory import Before

# What servers close their websockets with when they are stopped.
_SERVICE_RESTART = 1012
# Going away, no code, cut off, failed on the way: a network's doing. Any other code is somebody's wish.
_BREAKS = {1001, 1005, 1006, 1011, 1013, 1014, 1015}
# What is still true when another process goes on.
_LASTING = tuple(f'{{"type":"{kind}' for kind in ("caption.", "task.completed", "model.changed"))
# A browser reports every 250 ms while it plays. One that does not, and says nothing else, is not there.
_SILENT_S = 3.0
# How long a browser that is back may take to receive what it missed.
_CATCH_UP_S = 15.0


class WidgetCaller:
    """`lost` is done once there is no connection, and anew after the next. `began_at` is on the monotonic clock."""

    def __init__(
        self,
        connection: WidgetConnection,
        *,
        is_voice: bool,
        captions: bool,
        model: str,
        resume_within_s: float,
        before: Before | None = None,
    ) -> None:
        """`before`: the call was held by another process, and this is how far its browser was."""
        self._connection: WidgetConnection | None = connection
        # The one that is being told what it missed, and what of it is still to be sent.
        self._arriving: WidgetConnection | None = None
        self._to_send: list[Piece] = []
        self._unheard = Unheard(before.received_bytes, before.received_messages) if before else Unheard()
        self._resume_within_s = resume_within_s
        # Whether its caller has ever asked to talk may be known by a process only that is dead.
        self._takes_audio = connection.takes_audio = is_voice or before is not None
        self._translation = WidgetTranslation(captions=captions, model=model, is_voice=is_voice)
        if before:
            sending = before.cut_off_id or None
            self._translation.goes_on(used_micro=before.used_micro, is_listening=not before.is_owed, sending=sending)
        self._events: list[CallerEvent] = []
        self._listener: Listener | None = None
        self._away_since: float | None = None
        self._patience: asyncio.Timeout | None = None
        self._back: asyncio.Future[None] | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.began_at = time.monotonic() - (before.elapsed_s if before else 0.0)

    def __aiter__(self) -> AsyncIterator[CallerEvent]:
        return self

    async def __anext__(self) -> CallerEvent:
        while True:
            if self._events:
                event = self._events.pop(0)
                self._listen()
                return event
            connection = self._connection
            if connection is None:
                await self._until_back()
                continue
            try:
                event = await connection.next()
            except InvalidMessage as error:
                raise CallerBrokeProtocol(error.code) from None
            except ConnectionLost as lost:
                self._lose(connection, lost.code)
                continue
            if self._away_since is not None:
                # It was only silent: the network has delivered after all.
                self._return(self._away_since)
            self._events.append(event if type(event) is Audio else self._noted(event))

    async def until_gone(self) -> NoReturn:
        kept: list[CallerEvent] = []
        try:
            await early.keep(kept, self._next_before_goodbye, _bytes_in)
        finally:
            self._events[:0] = kept

    async def _next_before_goodbye(self) -> CallerEvent:
        event = await anext(self)
        if isinstance(event, HungUp):
            raise CallerHungUp
        return event

    @property
    def is_away(self) -> bool:
        if self._away_since is None and self._is_silent():
            assert self._connection is not None
            self._away_since = self._connection.heard_at
            # What they do next is read, for that says that they are back.
            self._connection.listen_no_more()
        return self._away_since is not None

    async def send(self, frame: bytes, event: Mapping[str, Any] | None = None) -> None:
        for message in self._translation.messages(frame, event):
            await self._tell(message)

    async def send_audio(self, delta: AudioDelta, frame: bytes) -> None:
        if delta.item_id != self._translation.speaking:
            for message in self._translation.before_audio(delta):
                await self._tell(message)
        self._unheard.add_audio(delta)
        if self._arriving is not None:
            self._to_send.append(delta)
        elif self._connection is not None:
            await self._connection.put_audio(delta.pcm)

    def listen(self, listener: Listener | None) -> None:
        self._listener = listener
        if listener is None and self._connection is not None:
            self._connection.listen_no_more()
        self._listen()

    def _listen(self) -> None:
        """Have it taken at once what comes, where all that came before has been read."""
        connection, listener = self._connection, self._listener
        if connection is None or listener is None or self._away_since is not None or self._events:
            return
        if not connection.is_listening:
            connection.listen(listener.take_audio, self._take_report)

    def _take_report(self, report: Played) -> bool:
        return self._listener is not None and self._listener.take_report(self._counted(report))

    def send_audio_now(self, delta: AudioDelta) -> bool:
        connection = self._connection
        if connection is None or self._arriving is not None or delta.item_id != self._translation.speaking:
            return False
        if not connection.send_now(delta.pcm, False):
            return False
        self._unheard.add_audio(delta)
        return True

    def send_now(self, frame: bytes, event: Mapping[str, Any]) -> bool:
        connection = self._connection
        if connection is None or self._arriving is not None or not connection.has_room:
            return False
        for text in self._translation.messages(frame, event):
            self._unheard.add_message(text)
            connection.send_now(text.encode(), True)
        return True

    async def _tell(self, text: str) -> None:
        self._unheard.add_message(text)
        if self._arriving is not None:
            self._to_send.append(text)
        elif self._connection is not None:
            await self._connection.put_text(text)

    # Coming back.

    async def resume(
        self, connection: WidgetConnection, resumed: str, received_messages: int | None, at: Played
    ) -> bool:
        """Go on over another connection, beginning with the text `resumed`; False when it was lost meanwhile.

        `at` is what the browser says that it has received and played. The connection before this one is given up.
        """
        away_since = self._give_up_connection()
        connection.takes_audio = self._takes_audio
        self._arriving = connection
        self._to_send = self._missed(at.received_bytes, received_messages)
        if self._patience is not None:
            self._patience.reschedule(None)
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                await self._catch_up(connection, resumed)
        except TimeoutError:
            connection.drop()
        if self._arriving is not connection:
            return False  # yet another one came
        self._arriving = None
        if connection.is_deaf:
            self._wait_on()
            return False
        self._connection = connection
        self._return(away_since)
        self._events.append(self._noted(at))
        self.lost = asyncio.get_running_loop().create_future()
        if self._back is not None and not self._back.done():
            self._back.set_result(None)
        return True

    def messages(self) -> list[tuple[int, str]]:
        """Return what the browser may have missed, for the process that goes on with it."""
        return [(number, text) for number, text in self._unheard.messages() if text.startswith(_LASTING)]

    async def tell_again(self, messages: Iterable[tuple[int, str]], received_messages: int) -> None:
        """Tell what another process has told, where the browser has received so many messages only."""
        for number, text in messages:
            if number >= received_messages:
                await self._tell(text)

    @property
    def is_given_up(self) -> bool:
        """Whether the caller was away for too long, in this very moment."""
        return self._patience is not None and self._patience.expired()

    @property
    def now(self) -> dict[str, object]:
        """What a browser that is back is told of the call as it is."""
        told = self._translation
        return {
            "elapsed_ms": round((time.monotonic() - self.began_at) * 1000),
            "used_micro": told.used_micro,
            "voice": told.is_voice,
            "model_served": told.model_served,
            "state": told.state,
        }

    async def _catch_up(self, connection: WidgetConnection, resumed: str) -> None:
        await connection.put_text(resumed)
        # What is said meanwhile is appended.
        while self._to_send and not connection.is_deaf:
            piece = self._to_send.pop(0)
            await (connection.put_text(piece) if isinstance(piece, str) else connection.put_audio(piece.pcm))

    def _missed(self, received_bytes: int, received_messages: int | None) -> list[Piece]:
        missed = self._unheard.missed(received_bytes, received_messages)
        # What is being said now goes on under an announcement that this connection has seen.
        item_id = self._translation.sending
        announced = [piece for piece in missed if isinstance(piece, str) and piece.startswith('{"type":"audio.begin"')]
        if item_id is not None and announced[-1:] != [serialise("audio.begin", item_id=item_id)]:
            begin = serialise("audio.begin", item_id=item_id)
            self._unheard.add_message(begin)
            missed.append(begin)
        return missed

    def _give_up_connection(self) -> float:
        """Let go of what there was; return since when nobody was heard."""
        since = self._away_since
        for connection in (self._connection, self._arriving):
            if connection is not None:
                connection.drop()
                since = connection.heard_at if since is None else since
        if self._connection is not None:
            self._unheard.broke()
        self._connection = self._arriving = None
        self._away_since = time.monotonic() if since is None else since
        return self._away_since

    def _lose(self, connection: WidgetConnection, code: int) -> None:
        if connection is not self._connection:
            return  # another one has taken its place
        if code == _SERVICE_RESTART:
            raise ServerStopping
        if code not in _BREAKS or not self._resume_within_s:
            raise CallerGone
        self._connection = None
        self._unheard.broke()
        self._away_since = self._away_since or time.monotonic()
        self.lost.set_result(None)

    async def _until_back(self) -> None:
        assert self._away_since is not None
        deadline = None if self._arriving is not None else self._deadline()
        self._back = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout_at(deadline) as self._patience:
                await self._back
        except TimeoutError:
            raise CallerGone from None
        finally:
            self._patience = None

    def _wait_on(self) -> None:
        """The connection that was to resume the call is lost as well."""
        self._to_send.clear()
        if not self.lost.done():
            self.lost.set_result(None)
        if self._patience is not None:
            self._patience.reschedule(self._deadline())

    def _deadline(self) -> float:
        waited_s = time.monotonic() - (self._away_since or 0.0)
        return asyncio.get_running_loop().time() + self._resume_within_s - waited_s

    def _return(self, away_since: float) -> None:
        self._events.append(CameBack(time.monotonic() - away_since))
        self._away_since = None

    def _is_silent(self) -> bool:
        connection = self._connection
        return (
            connection is not None and self._unheard.owes_audio and time.monotonic() - connection.heard_at > _SILENT_S
        )

    def _noted(self, event: CallerEvent) -> CallerEvent:
        if isinstance(event, Played):
            return self._counted(event)
        if isinstance(event, ModeChosen) and event.voice:
            # Somebody who wants to talk after all may do so.
            self._takes_audio = True
            if self._connection is not None:
                self._connection.takes_audio = True
        return event

    def _counted(self, report: Played) -> Played:
        # The conversation counts what it has sent; a browser is not sent again what was interrupted.
        return Played(report.item_id, report.played_ms, self._unheard.received(report.received_bytes))


def _bytes_in(event: CallerEvent) -> int:
    if isinstance(event, Text):
        return 4 * len(event.text)
    return len(event.pcm) if isinstance(event, Audio) else 0
