"""The storm's provider of voices: what it tells is what its accounts hold, and it breaks as planned."""

import json
import random

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.crash.storm.faults import Fault, Faults, Moment, Plan
from tests.crash.storm.provider import Accounts, Provider
from tests.crash.storm.waits import Waits

CALL = "call"
SESSION = {"type": "realtime", "output_modalities": ["audio"], "audio": {"input": {"turn_detection": {}}}}


class Planned(Faults):
    """Every connection breaks by the same plan, if there is one."""

    def __init__(self, plan=None):
        super().__init__(random.Random(1))
        self.are_on, self._plan = plan is not None, plan

    def next_plan(self):
        return self._plan


@pytest.fixture
def accounts():
    return Accounts()


def provider_with(accounts, plan=None):
    return Provider("first", "storm-first", "sk-test", Planned(plan), Waits(), accounts)


def dials(provider):
    headers = {"Authorization": "Bearer sk-test", "OpenAI-Safety-Identifier": CALL}
    return connect(f"{provider.url}?model=storm-first", additional_headers=headers, proxy=None)


async def answers(socket):
    """Ask for an answer; return what is said until it is done."""
    await socket.send(json.dumps({"type": "session.update", "session": SESSION}))
    await socket.send(json.dumps({"type": "response.create"}))
    told = []
    async for message in socket:
        told.append(json.loads(message))
        if told[-1]["type"] == "response.done":
            return told
    raise AssertionError("it hung up politely")


async def test_an_answers_usage_is_in_the_accounts_as_it_was_told(accounts):
    async with provider_with(accounts) as provider, dials(provider) as socket:
        told = await answers(socket)
    done = told[-1]["response"]
    assert accounts.responses[CALL][done["id"]].usage == done["usage"]
    assert done["usage"]["output_token_details"]["audio_tokens"] > 0
    assert sum(event["type"] == "response.output_audio.delta" for event in told) > 0
    assert provider.problems == []


async def test_two_connections_never_use_the_same_id(accounts):
    async with provider_with(accounts) as provider:
        for _ in range(2):
            async with dials(provider) as socket:
                await answers(socket)
    assert len(accounts.responses[CALL]) == 2


async def test_a_broken_answer_is_begun_and_never_told(accounts):
    plan = Plan(Fault.DROP, Moment.SPEAKING, 1)
    async with provider_with(accounts, plan) as provider, dials(provider) as socket:
        with pytest.raises(ConnectionClosed):
            await answers(socket)
    (produced,) = accounts.responses[CALL].values()
    assert (produced.is_begun, produced.usage) == (True, None)
    assert provider.waits.deaths == {"drop": 1}


async def test_a_failed_answer_says_why_and_tells_no_usage(accounts):
    plan = Plan(Fault.NO_QUOTA, Moment.ASKED, 1)
    async with provider_with(accounts, plan) as provider, dials(provider) as socket:
        done = (await answers(socket))[-1]["response"]
    assert done["status_details"]["error"]["code"] == "insufficient_quota"
    assert done["usage"] is None
    assert accounts.responses[CALL][done["id"]].usage is None


async def test_a_provider_that_went_away_answers_nobody(accounts):
    async with provider_with(accounts) as provider:
        async with dials(provider) as socket:
            provider.go_away()
            with pytest.raises(ConnectionClosed):
                await answers(socket)
        with pytest.raises((OSError, EOFError, Exception)) as refused:
            await dials(provider)
        assert not isinstance(refused.value, AssertionError)
