"""Talk to OpenAI's Realtime API over a websocket: frames pass through untouched, both ways.

picows, because it took the least CPU per frame of the clients measured: it calls back on every frame and needs no task.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit, urlunsplit

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from config.steady_reading import read_steadily
from voice.realtime_events import InvalidEvent, event_type
from voice.upstream.base import Capabilities, Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamTimeout, refusal_of
from voice.upstream.inbox import Inbox, Take

# A retrieved item with a minute of speech fits; a single delta is a thousand times smaller.
MAX_FRAME_BYTES = 4 * 1024 * 1024
# As much as a delta takes; a larger frame makes it grow for good (config/steady_reading.py).
READ_BUFFER_BYTES = 4096
# A minute of the caller's audio that the upstream has not taken: it will not catch up.
MAX_UNSENT_BYTES = 4 * 1024 * 1024
# A picture, or a recording in one piece, is more than that at once, and is waited for: it is no live audio.
LARGE_FRAME_BYTES = 256 * 1024
LARGE_FRAME_WITHIN_S = 20.0
LARGE_FRAME_LOOK_S = 0.01
PING_AFTER_S = 20.0
CLOSE_WITHIN_S = 2.0

# Going away, restarting, overloaded, lost: the codes the official client reconnects on, and a plain 1000, which also
# ends a session that reached its 60 minutes. Any other (1008, 4000...) is a verdict on what we sent.
_RETRYABLE_CLOSES = {1000, 1001, 1005, 1006, 1011, 1012, 1013, 1015}
# To look a member of this enumeration up takes as long as to copy a frame's payload.
_TEXT, _CONTINUATION = WSMsgType.TEXT, WSMsgType.CONTINUATION

# picows writes the handshake, key included, at its lowest debug level, and tracebacks for what we report as errors.
# An adapter, for it would make a logger for every connection out of a logger.
_picows_log = logging.LoggerAdapter(logging.getLogger("picows.voice_upstream"))
_picows_log.logger.setLevel(logging.CRITICAL)


async def dial(endpoint: Endpoint, timeout_s: float) -> "OpenAIUpstream":
    """Open the websocket and return the upstream; raise UpstreamRefused, UpstreamTimeout or UpstreamDropped."""
    return await dial_at(_url(endpoint), _headers(endpoint), endpoint.capabilities, timeout_s)


async def dial_at(url: str, headers: dict[str, str], capabilities: Capabilities, timeout_s: float) -> "OpenAIUpstream":
    """Open a websocket of JSON events anywhere: what is here serves everyone who speaks that. Raises as dial() does."""
    connection = _Connection()
    try:
        async with asyncio.timeout(timeout_s):
            await ws_connect(
                lambda: connection,
                url,
                extra_headers=headers,
                # A redirect would carry the key to another host.
                max_redirects=0,
                max_frame_size=MAX_FRAME_BYTES,
                read_buffer_init_size=READ_BUFFER_BYTES,
                websocket_handshake_timeout=timeout_s + 1,
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_AFTER_S,
                auto_ping_reply_timeout=PING_AFTER_S,
                logger_name=_picows_log,
            )
    except TimeoutError:
        connection.abandon()
        raise UpstreamTimeout("upstream_connect_timeout", retryable=True) from None
    except asyncio.CancelledError:
        connection.abandon()
        raise
    except WSHandshakeError as refusal:
        status = int(refusal.response.status) if refusal.response is not None else 0
        raise refusal_of(status, refusal.raw_body or b"") from None
    except OSError:
        # No route, no name, nothing listening, no trusted certificate: often gone a second later.
        raise UpstreamDropped("upstream_unreachable", retryable=True) from None
    if not connection.is_open:
        # picows says nothing of a connection that is taken and dropped without an answer: a proxy with nobody behind.
        raise UpstreamDropped("upstream_unreachable", retryable=True)
    return OpenAIUpstream(capabilities, connection)


class OpenAIUpstream:
    """One Realtime session over one websocket."""

    def __init__(self, capabilities: Capabilities, connection: "_Connection") -> None:
        self.capabilities = capabilities
        self._connection = connection
        # Every piece of the caller's speech passes here: straight on.
        self.send_now = connection.send_now

    async def send(self, frame: bytes) -> None:
        self._connection.send(frame)
        if len(frame) > LARGE_FRAME_BYTES:
            await self._connection.has_taken_large_frame()

    def listen(self, take: Take | None) -> None:
        """Offer every event to `take` first that comes while a reader waits for one: it must not raise."""
        self._connection.inbox.listen(take)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._connection.inbox.get()

    async def close(self) -> None:
        await self._connection.close()


class _Connection(WSListener):
    """The callbacks of one websocket; nothing here may raise, for picows would log it."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._transport: WSTransport | None = None
        self._abandoned = False
        self._pieces: list[bytes] = []
        self._large_bytes = 0
        # Whether more waits to be sent than the socket has taken at once.
        self._is_paused = False
        self._close_code: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the other side has ever agreed to speak over a websocket."""
        return self._transport is not None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        read_steadily(transport)
        # picows would keep them, keys included, as long as the connection.
        transport.request.headers.clear()
        transport.response.headers.clear()
        if self._abandoned:
            transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.payload_size > MAX_FRAME_BYTES:
            # picows objects to it, and delivers it all the same.
            self._hang_up_on_garbage()
            return
        kind = frame.msg_type
        if kind == _TEXT and frame.fin and not self._pieces:
            payload = frame.get_payload_as_bytes()
            if not self.inbox.offer(payload):
                self._deliver(payload)
        elif kind in (_TEXT, _CONTINUATION):
            self._on_piece(frame.get_payload_as_bytes(), last=bool(frame.fin))
        elif kind == WSMsgType.CLOSE:
            self._close_code = int.from_bytes(frame.get_payload_as_bytes()[:2]) or 1005
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif kind == WSMsgType.BINARY:
            self._hang_up_on_garbage()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        code = self._close_code
        if code is None and _broke_the_protocol(transport):
            self.inbox.discard(_garbage())
        elif code is None:
            self.inbox.finish(UpstreamDropped("upstream_dropped", retryable=True))
        else:
            retryable = code in _RETRYABLE_CLOSES
            self.inbox.finish(UpstreamDropped("upstream_closed", retryable=retryable, close_code=code))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False

    def send_now(self, frame: bytes) -> bool:
        """Send a frame if that needs no waiting and cannot fail; say whether it was sent."""
        transport = self._transport
        if transport is None or self._is_paused or self._is_gone(transport) or len(frame) > LARGE_FRAME_BYTES:
            return False
        transport.send(_TEXT, frame)
        return True

    def _is_gone(self, transport: WSTransport) -> bool:
        return self.inbox.ended or transport.is_disconnected or transport.is_close_frame_sent

    def send(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or self._is_gone(transport):
            raise UpstreamDropped("upstream_gone", retryable=True)
        if self._unsent_bytes(transport) > MAX_UNSENT_BYTES + self._large_bytes:
            # Its network or its process is stuck, another connection need not be.
            raise UpstreamError("upstream_stalled", retryable=True)
        if len(frame) > LARGE_FRAME_BYTES:
            self._large_bytes += len(frame)
        transport.send(_TEXT, frame)

    async def has_taken_large_frame(self) -> None:
        """Wait, for a bounded time, until nothing much of the large frames sent is still ours."""
        transport, give_up_at = self._transport, time.monotonic() + LARGE_FRAME_WITHIN_S
        while transport and not self.inbox.ended and self._unsent_bytes(transport) > LARGE_FRAME_BYTES:
            if time.monotonic() > give_up_at:
                break
            await asyncio.sleep(LARGE_FRAME_LOOK_S)
        self._large_bytes = 0

    @staticmethod
    def _unsent_bytes(transport: WSTransport) -> int:
        return int(transport.underlying_transport.get_write_buffer_size())

    async def close(self) -> None:
        self.inbox.finish(None)
        if self._transport is None:
            return
        self._transport.send_close(WSCloseCode.OK)
        # A protocol error that ended the connection is raised here; the reader has been told of it already.
        with contextlib.suppress(TimeoutError, WSError):
            try:
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await self._transport.wait_disconnected()
            finally:
                self._transport.disconnect(graceful=False)

    def abandon(self) -> None:
        """Drop the connection now, or as soon as a handshake still under way succeeds."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _on_piece(self, payload: bytes, *, last: bool) -> None:
        self._pieces.append(payload)
        if sum(map(len, self._pieces)) > MAX_FRAME_BYTES:
            return self._hang_up_on_garbage()
        if last:
            frame = b"".join(self._pieces)
            self._pieces.clear()
            self._deliver(frame)

    def _deliver(self, frame: bytes) -> None:
        if not _looks_like_an_event(frame):
            return self._hang_up_on_garbage()
        if not self.inbox.put(frame):
            self.abandon()

    def _hang_up_on_garbage(self) -> None:
        self.inbox.discard(_garbage())
        self.abandon()


def _url(endpoint: Endpoint) -> str:
    parts = urlsplit(endpoint.base_url)
    query = "&".join(filter(None, [parts.query, urlencode({"model": endpoint.model})]))
    return urlunsplit(parts._replace(query=query))


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    if endpoint.safety_identifier:
        # Lets the provider act against one abusive caller instead of our whole account.
        headers["OpenAI-Safety-Identifier"] = endpoint.safety_identifier
    return headers


def _garbage() -> UpstreamError:
    # What talks like this is no Realtime server, now or after a second dial.
    return UpstreamError("upstream_garbage", retryable=False)


def _looks_like_an_event(frame: bytes) -> bool:
    try:
        return bool(event_type(frame)) and (frame.endswith(b"}") or frame.rstrip().endswith(b"}"))
    except InvalidEvent:
        return False


def _broke_the_protocol(transport: WSTransport) -> bool:
    handshake = transport.close_handshake
    return handshake is not None and handshake.sent is not None and handshake.sent.code.value in (1002, 1007, 1009)
