"""What models are offered as is switched in the operator's tool, and every way of switching is written down."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.factories import make_agent, make_organisation, make_user
from tests.voice.admin.test_catalogue import MODELS, save, switch
from voice.catalogue import breaker
from voice.catalogue.on_offer import resolve_model
from voice.models import CatalogueModel, ModelHealth, ModelOverride, ModelStatusChange
from voice.sessions.orders import control

OVERRIDES, LOG = "/admin/voice/modeloverride/", "/admin/voice/modelstatuschange/"
LATER = "2030-01-02T15:04"


@pytest.fixture(autouse=True)
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


@pytest.fixture
def mini(catalogue):
    return CatalogueModel.objects.get(slug="gpt-realtime-mini")


@pytest.fixture
def organisation(db):
    return make_organisation()


def act(desk, action, *models, **fields):
    return desk.post(
        MODELS, {"action": action, "_selected_action": [model.pk for model in models], **fields}, follow=True
    )


def confirmed(desk, action, *models, **fields):
    return act(desk, action, *models, confirmed="yes", **fields)


def said(page):
    return [str(message) for message in page.context["messages"]]


def log():
    changes = ModelStatusChange.objects.order_by("id")
    return list(changes.values_list("model__slug", "before", "after", "who", "why"))


def of_everybody(*row):
    return ("gpt-realtime-mini", *row)


def test_a_switch_in_the_list_is_written_down(desk, mini):
    switch(desk, mini, status="maintenance", status_note="Slow")
    assert log() == [of_everybody("available", "maintenance", "operator@example.com", "Slow")]


def test_a_switch_on_the_models_page_is_written_down(desk, mini):
    save(desk, mini, status="retired", status_note="Too dear")
    assert log() == [of_everybody("available", "retired", "operator@example.com", "Too dear")]


def test_saving_without_a_switch_writes_nothing_down(desk, mini):
    save(desk, mini, status_note="A word")
    switch(desk, mini, status_note="Another word")
    assert log() == []


def test_maintenance_asks_first_and_takes_a_note_and_a_time(desk, mini):
    page = act(desk, "under_maintenance", mini)
    assert "Put GPT Realtime mini under maintenance?" in page.text
    assert "GPT Realtime mini: GPT Realtime 2.1 mini answers instead." in page.text
    assert log() == []

    confirmed(desk, "under_maintenance", mini, note="Quota", expected_back_at=LATER)
    mini.refresh_from_db()
    assert (mini.status, mini.status_note) == ("maintenance", "Quota")
    assert timezone.localtime(mini.expected_back_at).strftime("%Y-%m-%dT%H:%M") == LATER
    assert log() == [of_everybody("available", "maintenance", "operator@example.com", "Quota")]


def test_a_switch_counts_for_the_next_call(desk, mini):
    confirmed(desk, "under_maintenance", mini, note="", expected_back_at="")
    assert resolve_model(mini.slug, None).served.slug == "gpt-realtime-2.1-mini"
    act(desk, "available_again", mini)
    assert resolve_model(mini.slug, None).served.slug == mini.slug


def test_a_time_that_has_passed_is_refused(desk, mini):
    page = confirmed(desk, "under_maintenance", mini, note="", expected_back_at="2020-01-01T00:00")
    assert "This time has passed." in page.text
    assert log() == []


def test_switching_several_at_once_writes_each_down(desk, mini):
    other = CatalogueModel.objects.get(slug="gpt-realtime")
    confirmed(desk, "under_maintenance", mini, other, note="Quota", expected_back_at="")
    assert sorted(row[0] for row in log()) == ["gpt-realtime", "gpt-realtime-mini"]
    assert LogEntry.objects.count() == 2


def test_what_is_available_again_forgets_its_note_and_time(desk, mini):
    CatalogueModel.objects.filter(pk=mini.pk).update(
        status="maintenance", status_note="Slow", expected_back_at=timezone.now() + timedelta(days=1)
    )
    act(desk, "available_again", mini)
    mini.refresh_from_db()
    assert (mini.status, mini.status_note, mini.expected_back_at) == ("available", "", None)


def test_the_breaker_is_closed_by_hand(desk, mini):
    breaker.failed(mini.slug, "upstream_unauthorized")
    assert said(act(desk, "close_breaker", mini)) == ["GPT Realtime mini: calls are let through again."]
    assert resolve_model(mini.slug, None).served.slug == mini.slug
    assert log()[-1] == of_everybody("down", "up", "operator@example.com", "Closed by hand.")


def test_a_breaker_that_is_closed_is_left(desk, mini):
    assert said(act(desk, "close_breaker", mini)) == ["None of these was kept away."]
    assert log() == []


@pytest.fixture
def moved(monkeypatch):
    models = []

    def move(*whose):
        models.append(whose)
        return True

    monkeypatch.setattr(control, "move_calls_of", move)
    return models


def test_live_calls_are_moved_once_confirmed(desk, mini, moved, make_live_session, cast):
    make_live_session(make_agent(cast.organisation), model_served=mini.slug)
    assert "Move 1 live call away?" in act(desk, "move_calls", mini).text
    assert moved == []
    assert said(confirmed(desk, "move_calls", mini)) == ["1 live call told to move."]
    assert moved == [(mini.slug,)]


def test_without_live_calls_nothing_is_moved(desk, mini, moved):
    assert said(confirmed(desk, "move_calls", mini)) == ["No live call is held by these."]
    assert moved == []


def test_who_may_only_look_cannot_switch(client, mini):
    helper = make_user("helper@example.com", is_staff=True)
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")
    data = {"action": "available_again", "_selected_action": [mini.pk]}
    assert client.post(MODELS, data).status_code == 403


def test_the_list_shows_what_is_kept_away_and_why(desk, mini):
    breaker.failed(mini.slug, "upstream_unauthorized")
    page = desk.get(MODELS).text
    assert "Kept away" in page
    assert "upstream_unauthorized" in page


def test_the_list_says_when_the_next_call_will_try_it(desk, mini):
    breaker.failed(mini.slug, "upstream_unauthorized")
    ModelHealth.objects.update(next_probe_at=timezone.now() - timedelta(minutes=2))
    assert "Next call tries it" in desk.get(MODELS).text


def test_what_answers_and_what_begins_to_fail_are_told_apart(desk, mini):
    breaker.answered(mini.slug)
    assert '<span class="tag tag-good">Answers</span>' in desk.get(MODELS).text
    breaker.failed(mini.slug, "upstream_timeout")
    assert "1 in a row: upstream_timeout" in desk.get(MODELS).text


def test_health_cannot_be_written_by_hand(desk, mini):
    breaker.failed(mini.slug, "upstream_unauthorized")
    forged = {"health-TOTAL_FORMS": 1, "health-INITIAL_FORMS": 1, "health-0-opened_at": "", "health-0-DELETE": "on"}
    save(desk, mini, **forged)
    assert ModelHealth.objects.get(model=mini).opened_at is not None


def override(desk, organisation, mini, **fields):
    data = {"organisation": organisation.pk, "model": mini.pk, **fields}
    return desk.post(f"{OVERRIDES}add/", data)


def test_one_organisation_is_offered_a_model_otherwise(desk, organisation, mini):
    data = {"status": "maintenance", "status_note": "Your quota", "fallback_slugs": "parley-embedded"}
    assert override(desk, organisation, mini, **data).status_code == 302
    assert resolve_model(mini.slug, organisation).served.slug == "parley-embedded"
    assert resolve_model(mini.slug, None).served.slug == mini.slug
    [change] = ModelStatusChange.objects.all()
    assert (change.organisation, change.before, change.after, change.who, change.why) == (
        organisation, "as for everybody", "maintenance", "operator@example.com", "Your quota; fallback slugs changed",
    )  # fmt: skip


def test_one_organisations_live_calls_are_moved_once_confirmed(
    desk, organisation, mini, moved, make_live_session, cast
):
    make_live_session(make_agent(cast.organisation), model_served=mini.slug)
    override(desk, organisation, mini, status="maintenance")
    row = ModelOverride.objects.get()
    order = {"action": "move_calls", "_selected_action": [row.pk]}
    page = desk.post(OVERRIDES, {**order, "confirmed": "yes"}, follow=True)
    assert said(page)[-1] == "No live call of these organisations is held by these models."

    make_live_session(make_agent(organisation), model_served=mini.slug)
    assert "Move 1 live call away?" in desk.post(OVERRIDES, order).text
    assert moved == []
    assert said(desk.post(OVERRIDES, {**order, "confirmed": "yes"}, follow=True)) == ["1 live call told to move."]
    assert moved == [(mini.slug, organisation.pk)]


def test_changing_an_override_is_written_down(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance")
    row = ModelOverride.objects.get()
    desk.post(f"{OVERRIDES}{row.pk}/change/", {"status": "", "max_output_tokens": "500"})
    row.refresh_from_db()
    assert (row.status, row.max_output_tokens) == ("", 500)
    assert log()[-1] == of_everybody(
        "maintenance", "as for everybody", "operator@example.com", "max output tokens changed"
    )


def test_saving_an_override_as_it_stands_writes_nothing_down(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance")
    desk.post(f"{OVERRIDES}{ModelOverride.objects.get().pk}/change/", {"status": "maintenance"})
    assert len(log()) == 1


def test_an_override_stays_its_organisations_and_its_models(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance")
    row = ModelOverride.objects.get()
    other = CatalogueModel.objects.get(slug="gpt-realtime")
    data = {"organisation": make_organisation().pk, "model": other.pk, "status": "maintenance"}
    desk.post(f"{OVERRIDES}{row.pk}/change/", data)
    row.refresh_from_db()
    assert (row.organisation, row.model) == (organisation, mini)


def test_removing_overrides_in_bulk_writes_each_down(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance")
    row = ModelOverride.objects.get()
    desk.post(OVERRIDES, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert not ModelOverride.objects.exists()
    assert log()[-1] == of_everybody(
        "maintenance", "as for everybody", "operator@example.com", "The override was removed."
    )


@pytest.mark.parametrize("slugs", ["gpt-9", "gpt-4.1", "gpt-realtime-mini"])
def test_only_another_model_of_its_kind_can_stand_in(desk, organisation, mini, slugs):
    page = override(desk, organisation, mini, fallback_slugs=slugs)
    assert "fallback_slugs" in page.context["adminform"].form.errors
    assert not ModelOverride.objects.exists()


def test_a_second_override_of_the_same_is_refused(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance")
    assert override(desk, organisation, mini, status="available").status_code == 200
    assert ModelOverride.objects.get().status == "maintenance"


def test_the_models_page_shows_whose_offer_differs_and_what_is_found(desk, organisation, mini):
    override(desk, organisation, mini, status="maintenance", status_note="Your quota")
    breaker.failed(mini.slug, "upstream_unauthorized")
    page = desk.get(f"{MODELS}{mini.pk}/change/").text
    assert organisation.name in page and "Your quota" in page and "upstream_unauthorized" in page


def test_the_log_is_only_read(desk, mini):
    switch(desk, mini, status="maintenance", status_note="Slow")
    row = ModelStatusChange.objects.get()
    assert "Slow" in desk.get(LOG).text
    assert desk.get(f"{LOG}add/").status_code == 403
    assert desk.post(f"{LOG}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    desk.post(LOG, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert ModelStatusChange.objects.exists()


def test_a_new_models_first_status_is_written_down(desk, catalogue):
    page = desk.get(f"{MODELS}add/").context
    form = page["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    for inline in page["inline_admin_formsets"]:
        management = inline.formset.management_form
        data |= {management.add_prefix(name): management[name].value() for name in management.fields}
    desk.post(f"{MODELS}add/", {**data, "slug": "new", "name": "New", "kind": "chat", "provider_model": "new"})
    assert log() == [("new", "not there", "available", "operator@example.com", "")]
