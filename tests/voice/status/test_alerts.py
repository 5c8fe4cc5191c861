"""What operators are told above the admin's pages, and members above the console's."""

from datetime import timedelta

import pytest
from django.utils import timezone

from outbox.models import OutboxMessage
from tests import factories
from voice.models import CatalogueModel, ComponentBeat, ModelHealth, ModelOverride, Switches
from voice.status.alerts import members_banners, operators_alerts

pytestmark = pytest.mark.usefixtures("catalogue")
MODEL = "gpt-realtime-mini"


@pytest.fixture(autouse=True)
def worker(catalogue):
    # No shutdown date of the seeds may come near while the years pass.
    CatalogueModel.objects.update(shutdown_on=None)
    return ComponentBeat.objects.create(name="worker")


@pytest.fixture
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


def change(slug, **fields):
    CatalogueModel.objects.filter(slug=slug).update(**fields)


def alerts():
    return [(alert.is_urgent, alert.sentence) for alert in operators_alerts(timezone.now())]


def sentences(organisation):
    return [banner.sentence for banner in members_banners(organisation, timezone.now())]


def break_model(slug):
    moment = timezone.now()
    ModelHealth.objects.create(
        model=CatalogueModel.objects.get(slug=slug),
        opened_at=moment,
        last_failure_code="upstream_dropped",
        next_probe_at=moment + timedelta(minutes=1),
    )


def test_an_operator_is_not_told_that_calls_keep_away_from_a_model_that_the_next_one_tries():
    break_model(MODEL)
    ModelHealth.objects.update(next_probe_at=timezone.now() - timedelta(seconds=61))
    ((_, sentence),) = alerts()
    assert "keep away" not in sentence
    assert sentence.endswith("so the next call tries it.")


def test_while_all_is_well_nobody_is_told_anything(agent):
    assert alerts() == []
    assert sentences(agent.organisation) == []


def test_an_operator_is_told_of_everything_the_urgent_first(worker):
    moment = timezone.now()
    change("gpt-realtime", status="maintenance", expected_back_at=moment - timedelta(days=1))
    change("gpt-realtime-2.1", shutdown_on=timezone.localdate() + timedelta(days=30))
    change("gpt-4.1", shutdown_on=timezone.localdate() + timedelta(days=31))
    change("whisper-1", shutdown_on=timezone.localdate())
    break_model(MODEL)
    ComponentBeat.objects.update(seen_at=moment - timedelta(minutes=3))
    OutboxMessage.objects.create(kind="mail", key="late", next_attempt_at=moment - timedelta(minutes=6))
    found = alerts()
    assert [is_urgent for is_urgent, _ in found] == [True, True, False, False, False]
    text = "\n".join(sentence for _, sentence in found)
    assert f"{MODEL} is not answering (upstream_dropped); calls keep away since " in text
    assert "Work after calls: Not heard of since then" in text
    assert "gpt-realtime is still under maintenance; it was expected back at " in text
    assert "Shut down within 30 days: gpt-realtime-2.1 on " in text
    assert "gpt-4.1" not in text and "whisper-1" not in text
    assert "Deliveries on time: The oldest has waited for 36" in text


def test_many_shutdowns_are_named_in_one_line():
    CatalogueModel.objects.update(shutdown_on=timezone.localdate() + timedelta(days=1))
    (_, sentence), *rest = alerts()
    assert rest == [] and sentence.count(" on ") == 5 and " more." in sentence


def test_a_member_is_told_of_the_models_that_its_agents_ask_for(agent, key):
    change(MODEL, status="maintenance")
    change("gpt-realtime", status="maintenance")
    assert sentences(agent.organisation) == [
        "GPT Realtime mini is under maintenance. GPT Realtime 2.1 mini answers instead."
    ]


def test_an_agent_that_is_paused_is_no_reason(agent, key):
    change(MODEL, status="maintenance")
    agent.is_active = False
    agent.save()
    assert sentences(agent.organisation) == []


def test_an_organisations_own_maintenance_is_told_to_it_alone(agent, key):
    model = CatalogueModel.objects.get(slug=MODEL)
    ModelOverride.objects.create(organisation=agent.organisation, model=model, status="maintenance")
    other = factories.make_organisation("Other")
    factories.make_agent(other)
    assert len(sentences(agent.organisation)) == 1
    assert sentences(other) == []


def test_a_breaker_that_is_open_is_told(agent, key):
    break_model(MODEL)
    assert sentences(agent.organisation)[0].startswith("GPT Realtime mini is not answering at the moment.")


def test_members_are_told_of_paused_calls_and_of_late_work(agent):
    Switches.objects.update_or_create(pk=1, defaults={"calls_paused": True, "pause_message": "Back at two."})
    ComponentBeat.objects.update(seen_at=timezone.now() - timedelta(minutes=3))
    paused, late = members_banners(agent.organisation, timezone.now())
    assert (paused.sentence, paused.note) == ("All calls are paused: none can start.", "Back at two.")
    assert late.sentence.startswith("Notes, webhooks and mails are late")


def test_many_agents_cost_no_more_statements_than_one(agent, key, django_assert_max_num_queries):
    break_model("gpt-4.1")
    with django_assert_max_num_queries(30) as one:
        members_banners(agent.organisation, timezone.now())
    for number in range(20):
        factories.make_agent(agent.organisation, name=f"Agent {number}")
    with django_assert_max_num_queries(len(one.captured_queries)):
        members_banners(agent.organisation, timezone.now())


def test_the_console_shows_them_with_a_link(client, agent, key):
    change(MODEL, status="maintenance", status_note="<b>Soon</b>")
    alice = factories.make_user("alice@example.com")
    factories.add_member(agent.organisation, alice)
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    text = client.get("/console/agents/").content.decode()
    assert "GPT Realtime mini is under maintenance." in text and "&lt;b&gt;Soon" in text
    assert '<a href="/status/">Status</a></p>' in text
