"""Which websocket address leads where, and which leads nowhere."""

import pytest
from channels.testing import WebsocketCommunicator

from config.asgi import application


@pytest.mark.parametrize("address", ["/", "/v1/nope", "/v1/voice/widget/more", "/realtime/2"])
async def test_a_websocket_for_no_address_of_ours_is_turned_away(address):
    caller = WebsocketCommunicator(application, address)
    is_open, _ = await caller.connect()
    assert not is_open
