"""A live call is moved away from a model that an operator works on, and its caller is told just that."""

from channels.db import database_sync_to_async as in_thread

from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.flows.rungs import Dialled, call_to, told
from tests.flows.script import SESSION_STEP, SPEECH, greeting
from voice.audio import ms_of
from voice.models import CatalogueModel
from voice.sessions.caller import HungUp, Played
from voice.sessions.orders import control
from voice.upstream import registry


def switch(slug, **fields):
    CatalogueModel.objects.filter(slug=slug).update(**fields)


async def test_a_caller_whose_call_is_moved_for_maintenance_is_told_of_it(agent, monkeypatch, settings):
    settings.OPENAI_API_KEY = "sk-test"
    dialled = Dialled(
        ScriptedUpstream(greeting()), ScriptedUpstream([SESSION_STEP, *told("agent: Hello, how can I help?")])
    )
    monkeypatch.setattr(registry, "dial", dialled.dial)
    call = await call_to(agent)
    await call.caller.until_told("response.output_audio.done", item_id="item_1")
    call.caller.does(Played("item_1", ms_of(len(SPEECH)), len(SPEECH)))
    await in_thread(switch)("gpt-realtime-mini", status="maintenance")
    await in_thread(control.move_calls_of)("gpt-realtime-mini")
    changed = await call.caller.until_told("parley.model_changed")
    call.caller.does(HungUp())
    await call.ends()
    assert changed["reason"] == "GPT Realtime mini is under maintenance: GPT Realtime 2.1 mini answers instead."
