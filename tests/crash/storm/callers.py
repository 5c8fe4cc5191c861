"""Callers as the widget makes them: they talk, listen, type, lose their network, come back, and hang up in the end."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.crash.storm.network import Network
from tests.crash.storm.waits import Waits
from voice.audio import ms_of
from voice.gateway.widget_protocol import SUBPROTOCOL

# A tenth of a second each: in the first one somebody speaks (provider.py knows them by their beginning).
FRAME_S = 0.1
SPEECH, SILENCE = b"\1\0" * 2400, b"\0\0" * 2400
SPEAKS_FRAMES = 4
QUESTION = "When do the persimmons arrive?"
# The widget's own (static/voice/widget/reconnect.js): milliseconds before each try, and their spread.
DELAYS_S, SPREAD = (0.3, 0.7, 1.0, 2.0), 0.3
RESUME_TIMEOUT_S, START_TIMEOUT_S = 5.0, 15.0
# Who hears nothing for so long says it again.
PATIENCE_S = 12.0
# Who was given a chat asks to talk again after so many answers; and now and then somebody would rather type.
TYPES_ANSWERS = 1
RATHER_TYPES = 0.03
_NO_PART_OF_THE_CALL = {"session.started", "session.resumed", "error"}
_BREAKS = {1001, 1005, 1006, 1012, 1013}


@dataclass
class CallOfCaller:
    """What a browser knows of one call; `name` is how the providers know it. `ends_with` is how it ended for it."""

    session_id: str
    name: str
    token: str = ""
    received_bytes: int = 0
    received_messages: int = 0
    item_id: str | None = None
    item_ms: float = 0.0
    item_began_at: float = 0.0
    plays_until: float = 0.0
    is_voice: bool = True
    told_micro: int = 0
    resumes: int = 0
    receipt: dict[str, Any] | None = None
    ends_with: str = ""
    models: list[str] = field(default_factory=list)

    @property
    def played_ms(self) -> int:
        return max(0, round(min(self.item_ms, (time.monotonic() - self.item_began_at) * 1000)))


@dataclass(frozen=True, slots=True)
class Broke:
    """What broke a caller's connection, and when what broke it was over: waiting is counted from then."""

    cause: str
    since: float


Admits = Callable[[int], "tuple[str, str]"]


class StormCaller:
    """One of the twenty: a call after the other until told to hang up."""

    def __init__(
        self, number: int, network: Network, origin: str, waits: Waits, rng: random.Random, secret_key: str
    ) -> None:
        self.number, self.address = number, f"127.0.1.{number}"
        self._network, self._origin, self._waits, self._rng, self._secret_key = network, origin, waits, rng, secret_key
        self.calls: list[CallOfCaller] = []
        self.is_live = False
        self.broke: Broke | None = None
        self._hangs_up_by: float | None = None
        self._online = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._quiet_until, self._speaks, self._owed_since = 0.0, 0, 0.0
        self._typed_answers = 0

    @property
    def call(self) -> CallOfCaller:
        return self.calls[-1]

    async def live(self, admit: Any) -> None:
        """Call, and call again, until `hang_up`. `admit` returns a session's id and its ticket."""
        while self._hangs_up_by is None:
            try:
                session_id, ticket = await admit(self.number)
            except Exception:  # whatever is away, a page says "try again"
                await asyncio.sleep(1)
                continue
            name = hashlib.sha256(f"{self._secret_key}:{session_id}".encode()).hexdigest()
            self.calls.append(CallOfCaller(session_id, name))
            await self._hold(ticket)
            self._over()
            await asyncio.sleep(0.2)

    def hang_up(self) -> None:
        """Have them hang up, once they are answered or have run out of patience."""
        self._hangs_up_by = time.monotonic() + PATIENCE_S
        self._online.set()

    def tell_online(self) -> None:
        """The browser says that there is a network again: nothing is to be waited for."""
        self._online.set()

    def broken(self, cause: str) -> None:
        """Something was broken on purpose; the waiting begins now."""
        self.broke = Broke(cause, time.monotonic())

    # One call over as many sockets as it takes.

    async def _hold(self, ticket: str) -> None:
        call = self.call
        first = {"type": "session.start", "version": 1, "ticket": ticket, "voice": True}
        code = await self._over_one_socket(first, START_TIMEOUT_S)
        while call.token and not call.ends_with and code in _BREAKS:
            code = await self._come_back(call)
        if not call.ends_with:
            call.ends_with = str(code)

    async def _come_back(self, call: CallOfCaller) -> int:
        """Try until a socket carried the call again, and was lost as well; 4410 when it is too late."""
        self._waits.unclear_now(call.name)
        until, tries = time.monotonic() + 30.0, 0
        while True:
            delay_s = DELAYS_S[min(tries, len(DELAYS_S) - 1)] * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
            left_s = until - time.monotonic()
            if tries and left_s <= 0:
                return 4410
            self._online.clear()
            try:
                async with asyncio.timeout(max(0.0, min(delay_s, left_s))):
                    await self._online.wait()
                tries = 0
            except TimeoutError:
                pass
            tries += 1
            before = call.resumes
            code = await self._over_one_socket(self._resumption(call), RESUME_TIMEOUT_S)
            if call.resumes != before or call.ends_with or code not in _BREAKS:
                return code

    def _resumption(self, call: CallOfCaller) -> dict[str, Any]:
        return {
            "type": "session.resume", "version": 1, "resume_token": call.token, "item_id": call.item_id,
            "played_ms": call.played_ms, "received_bytes": call.received_bytes,
            "received_messages": call.received_messages,
        }  # fmt: skip

    async def _over_one_socket(self, first: dict[str, Any], timeout_s: float) -> int:
        """Return the close code; 1006 when there was not even a connection."""
        try:
            async with asyncio.timeout(timeout_s):
                socket = await connect(
                    f"ws://127.0.0.1:{self._network.port}/v1/voice/widget", origin=self._origin, max_size=None,
                    subprotocols=[SUBPROTOCOL], compression=None, close_timeout=1, open_timeout=timeout_s,
                    local_addr=(self.address, 0), ping_interval=None, proxy=None,
                )  # fmt: skip
        except (OSError, InvalidHandshake, InvalidMessage, EOFError, TimeoutError):
            return 1006
        talking = asyncio.create_task(self._talk(socket))
        try:
            await socket.send(json.dumps(first))
            async with asyncio.timeout(timeout_s) as patience:
                async for message in socket:
                    patience.reschedule(None)
                    self._hear(message)
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            self.is_live = False
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            await socket.close()
        return socket.close_code or 1006

    def _over(self) -> None:
        """This call is over; what was still waited for never came."""
        self._waits.call_over(self.call.name, self.call.ends_with)
        if self.broke is not None:
            self._waits.never(self.broke.cause, self.call.ends_with)
            self.broke = None

    # What is heard.

    def _hear(self, message: str | bytes) -> None:
        call, now = self.call, time.monotonic()
        if isinstance(message, bytes):
            call.received_bytes += len(message)
            ms = ms_of(len(message))
            gap_s = max(0.0, now - call.plays_until)
            call.plays_until = now + ms / 1000 if gap_s else call.plays_until + ms / 1000
            call.item_began_at += gap_s if call.item_ms else 0.0
            if not call.item_ms:
                call.item_began_at = call.plays_until - ms / 1000
            call.item_ms += ms
            self._heard(call.item_id or "")
            return
        event = json.loads(message)
        if event["type"] not in _NO_PART_OF_THE_CALL:
            call.received_messages += 1
        self._note(call, event, now)

    def _note(self, call: CallOfCaller, event: dict[str, Any], now: float) -> None:
        match event["type"]:
            case "session.started":
                call.token, call.is_voice = event["resume_token"], event["voice"]
                call.models.append(event["model_served"])
                self._begin_talking(now)
            case "session.resumed":
                call.resumes += 1
                # A model may have broken while they were away.
                self._waits.unclear_now(call.name)
                call.is_voice = event["voice"]
                self._begin_talking(now)
                self._follow_state(event["state"], now)
                if self.broke is not None:
                    self._waits.measured(self.broke.cause, self.broke.since)
                    self.broke = None
            case "audio.begin":
                if event["item_id"] != call.item_id:
                    call.item_id, call.item_ms, call.item_began_at = event["item_id"], 0.0, now
            case "audio.clear":
                call.plays_until = now
            case "caption.delta" | "caption.final" if event["speaker"] == "agent":
                if not call.is_voice:
                    self._heard(event["item_id"])
                if event["type"] == "caption.final":
                    self._typed_answers += not call.is_voice
            case "state.changed":
                self._follow_state(event["state"], now)
            case "model.changed":
                call.is_voice = event["voice"]
                call.models.append(event["model_served"])
                self._typed_answers = 0
            case "meter.changed":
                call.told_micro = event["used_micro"]
            case "session.ended":
                call.ends_with, call.receipt = event["reason"], event["receipt"]
            case "error":
                call.ends_with = event["code"] if event["fatal"] else ""

    def _heard(self, item_id: str) -> None:
        self._waits.heard(self.call.name, item_id)
        self._owed_since = time.monotonic()

    # What is said.

    def _begin_talking(self, now: float) -> None:
        self.is_live = True
        self._owed_since, self._quiet_until, self._speaks = now, float("inf"), 0

    def _follow_state(self, state: str, now: float) -> None:
        """Speak once the answer was played and thought about; be quiet while one is awaited, cut off or not."""
        if state != "listening":
            self._quiet_until = float("inf")
        elif not self._speaks:
            self._quiet_until = max(now, self.call.plays_until) + self._rng.uniform(0.2, 0.8)

    async def _talk(self, socket: ClientConnection) -> None:
        try:
            while True:
                if self.is_live:
                    await self._say_next(socket, self.call, time.monotonic())
                await asyncio.sleep(FRAME_S)
        except ConnectionClosed:
            pass

    async def _say_next(self, socket: ClientConnection, call: CallOfCaller, now: float) -> None:
        if self._hangs_up_by is not None and (now > self._hangs_up_by or not self._waits.is_waiting(call.name)):
            await _tell(socket, "session.end")
            self.is_live = False
            return
        is_my_turn = now > self._quiet_until or now - self._owed_since > PATIENCE_S
        if call.is_voice:
            await self._speak(socket, call, is_my_turn=is_my_turn)
            return
        if is_my_turn:
            self._said(call, now)
            if self._typed_answers >= TYPES_ANSWERS:
                self._typed_answers = 0
                await _tell(socket, "mode.choose", voice=True)
            await _tell(socket, "text.send", text=QUESTION)

    async def _speak(self, socket: ClientConnection, call: CallOfCaller, *, is_my_turn: bool) -> None:
        if is_my_turn and not self._speaks:
            self._said(call, time.monotonic())
            self._speaks = SPEAKS_FRAMES
            if self._rng.random() < RATHER_TYPES:
                await _tell(socket, "mode.choose", voice=False)
        await socket.send(SPEECH if self._speaks else SILENCE)
        self._speaks = max(0, self._speaks - 1)
        if call.item_id and time.monotonic() < call.plays_until + 2 * FRAME_S:
            report = {"item_id": call.item_id, "played_ms": call.played_ms, "received_bytes": call.received_bytes}
            await _tell(socket, "playback.report", **report)

    def _said(self, call: CallOfCaller, now: float) -> None:
        self._quiet_until, self._owed_since = float("inf"), now
        # Somebody who speaks again while they wait has begun something new.
        self._waits.unclear_now(call.name)


async def _tell(socket: ClientConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))
