"""An agent's tools: how many, how named, and which ones a call is offered."""

import pytest
from django.db import connection

from tests import factories
from voice.models import AgentTool
from voice.sessions import records
from voice.sessions.tools import tools_of
from voice.tools.keeping import MOST_TOOLS, NameTaken, TooManyTools, add_tool, change_tool, tools_offered


def fields(name="look_up_order", **changes):
    return {
        "name": name,
        "description": "Look up an order.",
        "parameters": {"type": "object"},
        "url": "https://shop.example/orders",
        "secret_header": "Authorization",
        "secret": "Bearer abc",
        **changes,
    }


def test_a_secret_is_encrypted_in_the_database(agent):
    tool = add_tool(agent, fields())
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM voice_agenttool")
        (stored,) = cursor.fetchone()
    assert "Bearer" not in stored and AgentTool.objects.get(pk=tool.pk).secret == "Bearer abc"


def test_two_tools_of_an_agent_have_two_names(agent):
    add_tool(agent, fields())
    with pytest.raises(NameTaken):
        add_tool(agent, fields())


def test_a_tool_may_keep_its_name_when_it_is_changed(agent):
    tool = add_tool(agent, fields())
    change_tool(tool, fields(description="Another."))
    assert AgentTool.objects.get().description == "Another."


def test_a_tool_may_not_take_the_name_of_another(agent):
    tool = add_tool(agent, fields())
    add_tool(agent, fields("cancel_order"))
    with pytest.raises(NameTaken):
        change_tool(tool, fields("cancel_order"))


def test_an_agent_has_only_so_many_tools(agent):
    for number in range(MOST_TOOLS):
        add_tool(agent, fields(f"tool_{number}"))
    with pytest.raises(TooManyTools):
        add_tool(agent, fields())


def test_a_call_is_offered_the_active_tools_of_its_agent(agent):
    add_tool(agent, fields())
    add_tool(agent, fields("off", is_active=False))
    add_tool(factories.make_agent(agent.organisation, name="Other"), fields("of_another_agent"))
    assert [tool.name for tool in tools_offered(agent, taken=frozenset())] == ["look_up_order"]


def test_a_tool_that_would_hide_a_built_in_one_is_left_out(agent):
    add_tool(agent, fields("end_call"))
    assert tools_offered(agent, taken=frozenset({"end_call"})) == ()


def test_secrets_that_cannot_be_read_do_not_end_the_call(agent, settings):
    add_tool(agent, fields())
    settings.ENCRYPTION_KEYS = ["another key altogether, and a long one too"]
    assert tools_offered(agent, taken=frozenset()) == ()


def test_a_call_that_begins_knows_the_tools(agent, open_session):
    add_tool(agent, fields())
    call = records.begin(open_session(state="admitted").id)
    definition = tools_of(call)[-1]
    assert (definition["name"], definition["parameters"]) == ("look_up_order", {"type": "object"})
    assert call.tools[0].secret == "Bearer abc"


def test_a_built_in_tool_stays_what_it_is(agent, open_session):
    for name in ("end_call", agent.task_name):
        add_tool(agent, fields(name))
    assert records.begin(open_session(state="admitted").id).tools == ()
