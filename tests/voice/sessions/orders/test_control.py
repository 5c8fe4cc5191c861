"""Orders from outside: each ends the calls it means, and no other."""

import asyncio
import uuid
from contextlib import AsyncExitStack

import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer

from accounts.organisations import suspend_organisation
from tests.factories import make_organisation
from tests.voice.sessions.calls import make_call, ordered
from voice.models import BlockedNetwork, EndReason, Switches
from voice.sessions.orders import control, listening
from voice.sessions.takeover.memory import HandedOver

# Long enough for a loaded machine; an order that comes is seen at once, so only a failure waits.
PATIENCE_S = 20


@pytest.fixture(autouse=True)
def channel_layer(settings):
    """A layer of the test's own, in memory."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    return get_channel_layer()


async def reasons_after(order, *calls):
    """Give an order while calls listen; return the reason each one was told, None for those it did not mean.

    A second order, which means everybody, follows: who hears that one first was not meant by the first.
    """
    async with AsyncExitStack() as listening:
        endings = [await listening.enter_async_context(ordered(call)) for call in calls]
        await sync_to_async(order)()
        await everybody_else()
        async with asyncio.timeout(PATIENCE_S):
            heard = [await ended for ended in endings]
    return [None if reason == EndReason.SHUTTING_DOWN else reason for reason in heard]


async def everybody_else():
    message = {"type": "call.end", "reason": EndReason.SHUTTING_DOWN.value}
    await get_channel_layer().group_send(listening.GROUP, message)


@pytest.mark.django_db(transaction=True)
async def test_hanging_up_ends_that_call_only():
    hung_up, other = make_call(), make_call()

    reasons = await reasons_after(lambda: control.end_call(hung_up.session_id), hung_up, other)

    assert reasons == [EndReason.OPERATOR_ENDED, None]


async def test_suspending_an_organisation_ends_its_calls_only():
    suspended, other = uuid.uuid4(), uuid.uuid4()
    calls = [make_call(organisation_id=each) for each in (suspended, suspended, other)]

    reasons = await reasons_after(lambda: control.end_calls_of(suspended), *calls)

    assert reasons == [EndReason.ORGANISATION_SUSPENDED, EndReason.ORGANISATION_SUSPENDED, None]


async def test_pausing_ends_every_call():
    assert await reasons_after(control.end_every_call, make_call(), make_call()) == [EndReason.PAUSED] * 2


async def test_calls_hear_orders_though_the_layer_forgot_that_they_listen(monkeypatch, channel_layer):
    monkeypatch.setattr(listening, "_JOIN_AGAIN_S", 0.01)
    async with ordered(make_call()) as ended:
        channel_layer.groups.clear()
        async with asyncio.timeout(PATIENCE_S):
            while not channel_layer.groups.get(listening.GROUP):
                await asyncio.sleep(0.01)
            await sync_to_async(control.end_every_call)()
            assert await ended == EndReason.PAUSED


async def test_blocking_a_network_ends_only_calls_from_it():
    calls = [make_call(client_ip=ip) for ip in ("198.51.100.7", "198.51.101.7", "2001:db8::7", "")]

    reasons = await reasons_after(lambda: control.end_calls_from("198.51.100.0/24"), *calls)

    assert reasons == [EndReason.NETWORK_BLOCKED, None, None, None]


async def test_blocking_an_ipv6_network_ends_only_calls_from_it():
    calls = [make_call(client_ip=ip) for ip in ("2001:db8:1:2::9", "2001:db8:1:3::9", "198.51.100.7")]

    reasons = await reasons_after(lambda: control.end_calls_from("2001:db8:1:2::/64"), *calls)

    assert reasons == [EndReason.NETWORK_BLOCKED, None, None]


class Conversation:
    """One that moves; `moved` says why it did."""

    def __init__(self, model_served="gpt-realtime-mini"):
        self.model_served, self.moved = model_served, []

    async def move(self, code):
        self.moved.append(code)


async def test_moving_the_calls_of_a_model_moves_those_that_it_serves_and_ends_none():
    asked_for, moved_before = Conversation(), Conversation("gpt-realtime")
    async with ordered(make_call(), asked_for) as ended, ordered(make_call(), moved_before) as other_ended:
        await sync_to_async(control.move_calls_of)("gpt-realtime-mini")
        await everybody_else()
        async with asyncio.timeout(PATIENCE_S):
            assert await ended == EndReason.SHUTTING_DOWN
            assert await other_ended == EndReason.SHUTTING_DOWN
    assert (asked_for.moved, moved_before.moved) == (["maintenance"], [])


async def test_moving_the_calls_of_one_organisation_moves_no_others():
    theirs, others = Conversation(), Conversation()
    call = make_call()
    async with ordered(call, theirs) as ended, ordered(make_call(), others) as other_ended:
        await sync_to_async(control.move_calls_of)("gpt-realtime-mini", call.organisation_id)
        await everybody_else()
        async with asyncio.timeout(PATIENCE_S):
            assert await ended == EndReason.SHUTTING_DOWN
            assert await other_ended == EndReason.SHUTTING_DOWN
    assert (theirs.moved, others.moved) == (["maintenance"], [])


async def test_a_move_that_could_not_be_sent_is_said_to_have_failed(monkeypatch):
    async def is_away(self, group, message):
        raise ConnectionError

    monkeypatch.setattr(InMemoryChannelLayer, "group_send", is_away)
    assert await sync_to_async(control.move_calls_of)("gpt-realtime-mini") is False


async def test_a_conversation_that_cannot_move_stays():
    async with ordered(make_call(), object()) as ended:
        await sync_to_async(control.move_calls_of)("gpt-realtime-mini")
        await everybody_else()
        async with asyncio.timeout(PATIENCE_S):
            assert await ended == EndReason.SHUTTING_DOWN


@pytest.mark.django_db(transaction=True)
async def test_a_call_that_is_over_hears_nothing_more(channel_layer):
    call = make_call()
    async with ordered(call):
        pass

    await sync_to_async(control.end_call)(call.session_id)

    assert channel_layer.channels == {}


async def test_a_layer_that_is_gone_does_not_keep_a_call_from_ending(monkeypatch, channel_layer):
    async def gone(*_):
        raise ConnectionError

    async with ordered(make_call()):
        monkeypatch.setattr(channel_layer, "group_discard", gone)


@pytest.mark.django_db(transaction=True)
async def test_an_organisation_that_is_suspended_loses_its_live_calls():
    organisation = await sync_to_async(make_organisation)()
    calls = [make_call(organisation_id=organisation.pk), make_call()]

    reasons = await reasons_after(lambda: suspend_organisation(organisation, "Unpaid", None), *calls)

    assert reasons == [EndReason.ORGANISATION_SUSPENDED, None]


@pytest.mark.django_db(transaction=True)
async def test_the_pause_switch_ends_every_live_call():
    reasons = await reasons_after(lambda: Switches(calls_paused=True).save(), make_call(), make_call())

    assert reasons == [EndReason.PAUSED, EndReason.PAUSED]


@pytest.mark.django_db(transaction=True)
async def test_lifting_the_pause_ends_no_call():
    assert await reasons_after(lambda: Switches(calls_paused=False).save(), make_call()) == [None]


@pytest.mark.django_db(transaction=True)
async def test_a_network_that_is_blocked_loses_its_live_calls():
    calls = [make_call(client_ip="198.51.100.7"), make_call(client_ip="203.0.113.7")]

    def block():
        BlockedNetwork.objects.create(network="198.51.100.0/24", reason="Abuse")

    assert await reasons_after(block, *calls) == [EndReason.NETWORK_BLOCKED, None]


class LayerThatWasAway(InMemoryChannelLayer):
    """Like a Redis that is being restarted: what is asked of it fails `failures` times."""

    failures = 2

    async def group_add(self, group, channel):
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        await super().group_add(group, channel)


async def test_a_call_that_began_while_the_layer_was_away_hears_its_orders_once_it_is_back(monkeypatch):
    layer = LayerThatWasAway()
    monkeypatch.setattr(listening, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(listening, "_LISTEN_AGAIN_S", 0.01)
    async with asyncio.timeout(PATIENCE_S), ordered(make_call()) as ended:
        while not layer.groups.get(listening.GROUP):
            await asyncio.sleep(0.01)
        await layer.group_send(listening.GROUP, {"type": "call.end", "reason": EndReason.PAUSED.value})
        assert await ended == EndReason.PAUSED
    assert layer.failures == 0
    assert layer.groups == {}


async def test_all_calls_of_a_process_listen_on_one_channel(channel_layer):
    async with ordered(make_call()), ordered(make_call()):
        assert len(channel_layer.groups[listening.GROUP]) == 1
    assert channel_layer.groups == {}


async def test_one_call_that_ends_takes_no_orders_from_the_others(channel_layer):
    async with ordered(make_call()) as ended:
        async with ordered(make_call()):
            pass
        await sync_to_async(control.end_every_call)()
        async with asyncio.timeout(PATIENCE_S):
            assert await ended == EndReason.PAUSED


async def test_an_order_that_nobody_understands_leaves_all_calls_listening(monkeypatch, channel_layer):
    monkeypatch.setattr(listening, "_LISTEN_AGAIN_S", 0)
    async with asyncio.timeout(PATIENCE_S), ordered(make_call()) as ended:
        await channel_layer.group_send(listening.GROUP, {"type": "call.end", "reason": "no such reason"})
        while not ended.done():
            await sync_to_async(control.end_every_call)()
        assert await ended == EndReason.PAUSED


async def test_a_call_that_was_taken_over_hears_of_it_and_who_took_it_does_not():
    before = make_call()
    after = make_call(session_id=before.session_id, generation=1)
    async with ordered(before) as ended, ordered(after) as still_held:
        await control.let_go_of(before.session_id, 1)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(HandedOver):
                await ended
        assert not still_held.done()
