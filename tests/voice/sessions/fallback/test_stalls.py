"""How long a model may be silent, and when that is noticed."""

from dataclasses import replace

import pytest

from tests.voice.sessions.calls import make_call
from voice.models.rung import RungKind
from voice.sessions.fallback.stalls import SignsOfLife
from voice.sessions.state import ConversationState, Response

CALL = make_call(rung_kind=RungKind.REALTIME)
THINKS = replace(
    CALL, endpoint=replace(CALL.endpoint, capabilities=replace(CALL.endpoint.capabilities, reasoning=True))
)
PIPELINE = make_call(rung_kind=RungKind.PIPELINE)


def is_given_up_after(silent_s, call=CALL, *, response=Response.RUNNING, audio_bytes=0, is_playing=False, opened=True):
    state = ConversationState(context_tokens=0, response=response, response_audio_bytes=audio_bytes)
    return SignsOfLife(100.0, has_opened=opened).has_stalled(call, state, 100.0 + silent_s, is_playing=is_playing)


@pytest.mark.parametrize(
    ("call", "how", "waits_s", "not_s"),
    [
        (CALL, {}, 3.9, 4.1),
        (PIPELINE, {}, 7.9, 8.1),
        (THINKS, {}, 19.0, 21.0),
        (CALL, {"audio_bytes": 1, "is_playing": True}, 4.9, 5.1),
        (CALL, {"audio_bytes": 1}, 1.4, 1.6),
        (THINKS, {"audio_bytes": 1}, 4.9, 5.1),
        (PIPELINE, {"audio_bytes": 1}, 7.9, 8.1),
        (CALL, {"opened": False}, 2.9, 3.1),
        # The speech was the last answer's; the next one is asked for.
        (CALL, {"audio_bytes": 1, "response": Response.ASKED}, 3.9, 4.1),
    ],
)
def test_a_model_is_waited_for_as_long_as_it_may_take(call, how, waits_s, not_s):
    assert not is_given_up_after(waits_s, call, **how)
    assert is_given_up_after(not_s, call, **how)


def test_a_pause_is_noticed_once_and_only_when_there_is_nothing_left_to_hear():
    state = ConversationState(context_tokens=0, response=Response.RUNNING, response_audio_bytes=1)
    alive = SignsOfLife(100.0, has_opened=True)
    assert not alive.begins_to_pause(state, 100.5, is_playing=False)
    assert not alive.begins_to_pause(state, 101.0, is_playing=True)
    assert [alive.begins_to_pause(state, now, is_playing=False) for now in (101.0, 101.1)] == [True, False]
    alive.seen_at = 102.0
    assert alive.begins_to_pause(state, 103.0, is_playing=False)


def test_a_model_that_has_not_begun_to_speak_does_not_pause():
    state = ConversationState(context_tokens=0, response=Response.RUNNING)
    assert not SignsOfLife(100.0).begins_to_pause(state, 103.0, is_playing=False)
