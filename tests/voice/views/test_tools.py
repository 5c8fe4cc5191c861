"""The console's pages about an agent's tools: for admins only, secrets never shown, tried before a caller does."""

import json

import pytest

from tests.fakes.webhook_receiver import Answer, WebhookReceiver
from voice.models import AgentTool
from voice.tools.keeping import MOST_TOOLS, add_tool

SCHEMA = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}


def form_data(**changes):
    return {
        "name": "look_up_order",
        "description": "Look up an order by its number.",
        "parameters": json.dumps(SCHEMA),
        "url": "https://shop.example/orders",
        "secret_header": "Authorization",
        "secret": "Bearer abc",
        "timeout_ms": "3000",
        "filler": "One moment.",
        "is_active": "on",
        **changes,
    }


@pytest.fixture
def alice(client, cast):
    client.force_login(cast.alice)
    return cast.alice


@pytest.fixture
def tool(agent):
    return add_tool(
        agent,
        {
            "name": "look_up_order",
            "description": "Look up an order.",
            "parameters": SCHEMA,
            "url": "https://shop.example/orders",
            "secret_header": "Authorization",
            "secret": "Bearer abc",
        },
    )


def of(agent, path=""):
    return f"/console/agents/{agent.pk}/tools/{path}"


def test_an_agent_without_tools_is_shown_how_to_begin(client, alice, agent):
    assert b"No tools yet" in client.get(of(agent)).content


def test_what_is_typed_is_what_is_kept(client, alice, agent):
    response = client.post(of(agent, "new/"), form_data())
    made = AgentTool.objects.get()
    assert response.url == of(agent, f"{made.pk}/try/")
    kept = (made.agent, made.name, made.parameters, made.secret_header, made.secret, made.timeout_ms, made.filler)
    assert kept == (agent, "look_up_order", SCHEMA, "Authorization", "Bearer abc", 3000, "One moment.")


def test_the_form_begins_with_a_schema_that_is_one(client, alice, agent):
    form = client.get(of(agent, "new/")).context["form"]
    client.post(of(agent, "new/"), form_data(parameters=form["parameters"].value()))
    assert AgentTool.objects.get().parameters["required"] == ["order_number"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Look up"},
        {"name": "1st"},
        {"name": "end_call"},
        {"name": "request_callback"},
        {"parameters": "{"},
        {"parameters": "[]"},
        {"parameters": '{"type": "string"}'},
        {"parameters": '{"type": "object", "$ref": "https://inside/"}'},
        {"parameters": "[" * 5000},
        {"url": "https://10.0.0.1/"},
        {"url": "https://user:password@shop.example/"},
        {"secret_header": "Host"},
        {"secret_header": "X Key"},
        {"secret": "a\nb"},
        {"secret_header": ""},
        {"secret": ""},
        {"timeout_ms": "499"},
        {"timeout_ms": "15001"},
        {"timeout_ms": "soon"},
        {"filler": "x" * 201},
        {"description": ""},
    ],
)
def test_what_cannot_work_is_not_saved(client, alice, agent, changes):
    response = client.post(of(agent, "new/"), form_data(**changes))
    assert response.status_code == 422 and not AgentTool.objects.exists()


def test_a_tool_may_not_be_called_what_the_task_is_called(client, alice, agent):
    assert client.post(of(agent, "new/"), form_data(name=agent.task_name)).status_code == 422


def test_two_tools_have_two_names(client, alice, agent, tool):
    assert client.post(of(agent, "new/"), form_data()).status_code == 422


def test_an_agent_has_only_so_many(client, alice, agent):
    for number in range(MOST_TOOLS):
        add_tool(agent, {"name": f"t{number}", "description": "d", "parameters": SCHEMA, "url": "https://a.example/"})
    response = client.post(of(agent, "new/"), form_data())
    assert response.status_code == 422 and b"models choose badly" in response.content


def test_the_secret_is_never_shown_again(client, alice, agent, tool):
    for path in ("", f"{tool.pk}/", f"{tool.pk}/try/"):
        assert b"Bearer abc" not in client.get(of(agent, path)).content


def test_a_secret_left_empty_is_kept(client, alice, agent, tool):
    client.post(of(agent, f"{tool.pk}/"), form_data(secret="", description="Another."))
    tool.refresh_from_db()
    assert (tool.secret, tool.description) == ("Bearer abc", "Another.")


def test_a_new_secret_takes_its_place(client, alice, agent, tool):
    client.post(of(agent, f"{tool.pk}/"), form_data(secret="Bearer new"))
    tool.refresh_from_db()
    assert tool.secret == "Bearer new"


def test_without_a_header_there_is_no_secret(client, alice, agent, tool):
    client.post(of(agent, f"{tool.pk}/"), form_data(secret_header="", secret=""))
    tool.refresh_from_db()
    assert tool.secret == ""


def test_a_tool_can_be_switched_off(client, alice, agent, tool):
    data = form_data()
    del data["is_active"]
    client.post(of(agent, f"{tool.pk}/"), data)
    tool.refresh_from_db()
    assert not tool.is_active


def test_a_tool_can_be_deleted(client, alice, agent, tool):
    client.post(of(agent, f"{tool.pk}/delete/"))
    assert not AgentTool.objects.exists()


def test_trying_it_shows_status_time_and_what_the_model_is_told(client, alice, agent, tool):
    with WebhookReceiver([Answer(body=b'{"state": "shipped"}')]) as receiver:
        AgentTool.objects.update(url=receiver.url)
        page = client.post(of(agent, f"{tool.pk}/try/"), {"arguments": '{"number": "A17"}'}).content.decode()
    assert "HTTP 200" in page and "of at most 5000 ms" in page and "shipped" in page
    assert receiver.received[0].headers["authorization"] == "Bearer abc"


def test_trying_it_begins_with_arguments_to_fill_in(client, alice, agent, tool):
    form = client.get(of(agent, f"{tool.pk}/try/")).context["form"]
    assert json.loads(form["arguments"].value()) == {"number": ""}


def test_arguments_that_do_not_fit_are_explained(client, alice, agent, tool):
    page = client.post(of(agent, f"{tool.pk}/try/"), {"arguments": '{"number": 17}'}).content.decode()
    assert "bad_arguments" in page and "$.number" in page


def test_a_server_that_is_down_is_said_to_be(client, alice, agent, tool):
    with WebhookReceiver() as receiver:
        receiver.go_down()
        AgentTool.objects.update(url=receiver.url)
        page = client.post(of(agent, f"{tool.pk}/try/"), {"arguments": '{"number": "A17"}'}).content
    assert b"unreachable" in page and b"It did not work" in page


def test_what_a_server_answers_is_text_on_the_page(client, alice, agent, tool):
    with WebhookReceiver([Answer(body=b"<script>alert(1)</script>")]) as receiver:
        AgentTool.objects.update(url=receiver.url)
        page = client.post(of(agent, f"{tool.pk}/try/"), {"arguments": '{"number": "A17"}'}).content
    assert b"<script>alert" not in page and b"&lt;script&gt;alert" in page


def test_a_plain_member_sees_none_of_it(client, cast, agent, tool):
    client.force_login(cast.bob)
    paths = [of(agent), of(agent, "new/"), of(agent, f"{tool.pk}/"), of(agent, f"{tool.pk}/try/")]
    assert {client.get(path).status_code for path in paths} == {403}
    assert client.post(of(agent, f"{tool.pk}/delete/")).status_code == 403


def test_another_organisation_sees_none_of_it(client, cast, agent, tool):
    client.force_login(cast.mallory)
    paths = [of(agent), of(agent, "new/"), of(agent, f"{tool.pk}/"), of(agent, f"{tool.pk}/try/")]
    assert {client.get(path).status_code for path in paths} == {404}
    assert client.post(of(agent, f"{tool.pk}/delete/")).status_code == 404


def test_a_program_that_tries_it_all_the_time_is_slowed_down(client, alice, agent, tool):
    with WebhookReceiver() as receiver:
        AgentTool.objects.update(url=receiver.url)
        for _ in range(22):
            page = client.post(of(agent, f"{tool.pk}/try/"), {"arguments": '{"number": "A17"}'}).content
    assert len(receiver.received) == 20 and b"That was often" in page
