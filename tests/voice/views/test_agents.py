import pytest

from accounts.models import Membership, Role
from tests.factories import make_agent, make_session
from voice import agents as rules
from voice.agents import TEMPLATES
from voice.languages import LANGUAGES
from voice.models import Agent, CatalogueModel
from voice.upstream.pipeline import sarvam
from voice.words import languages, words_of


def form_data(**changes):
    return {
        "name": "Front desk",
        "greeting": "Hello!",
        "instructions": "You are a receptionist.",
        "collects": "name: the full name\nTime of day: when",
        "task_name": "book_appointment",
        "language": "en",
        "voice": "marin",
        "model_slug": "gpt-realtime-mini",
        "max_minutes": "10",
        "silence_timeout_s": "20",
        "max_output_tokens": "1024",
        "history": "recent",
        "daily_ceiling_credits": "250",
        "allowed_origins": "https://www.Example.com/\nhttp://localhost:3000",
        "is_public": "on",
        **changes,
    }


@pytest.fixture
def alice(client, cast):
    client.force_login(cast.alice)
    return cast.alice


def paths_of(agent):
    return [f"/console/agents/{agent.pk}/", f"/console/agents/{agent.pk}/edit/"]


def test_an_organisation_without_agents_is_shown_how_to_begin(client, cast):
    client.force_login(cast.mallory)
    assert b"Your first agent is a minute away" in client.get("/console/agents/").content


def test_every_template_makes_an_agent_that_passes_its_own_form(client, alice, cast):
    for kind, template in TEMPLATES.items():
        form = client.get(f"/console/agents/new/{kind}/").context["form"]
        data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
        response = client.post(f"/console/agents/new/{kind}/", data)
        assert response.status_code == 302, response.context["form"].errors
        made = Agent.objects.get(template=kind)
        assert made.organisation == cast.organisation
        draft = template.draft(cast.organisation.name)
        assert made.instructions.split() == draft["instructions"].split()
        assert made.collects == draft["collects"]


def test_what_is_typed_is_what_is_kept(client, alice):
    client.post("/console/agents/new/faq/", form_data())
    made = Agent.objects.get()
    assert made.collects == [
        {"name": "name", "description": "the full name"},
        {"name": "time_of_day", "description": "when"},
    ]
    assert made.allowed_origins == ["https://www.example.com", "http://localhost:3000"]
    assert (made.max_duration_s, made.daily_ceiling_micro, made.is_public) == (600, 250_000_000, True)
    assert made.shows_prices is False


def test_nothing_is_kept_of_callers_unless_the_owner_says_so(client, alice):
    client.post("/console/agents/new/faq/", form_data())
    client.post("/console/agents/new/faq/", form_data(name="Other", transcript_policy="ask", captions="on"))
    kept = Agent.objects.order_by("created_at").values_list("transcript_policy", "captions")
    assert list(kept) == [("never", False), ("ask", True)]
    assert client.post("/console/agents/new/faq/", form_data(transcript_policy="secretly")).status_code == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 81),
        ("greeting", ""),
        ("greeting", "x" * 301),
        ("instructions", ""),
        ("instructions", "x" * 8001),
        ("collects", "\n".join(f"f{n}: x" for n in range(11))),
        ("collects", "name: one\nname: two"),
        ("collects", "9lives: no letter first"),
        ("collects", "name: " + "x" * 201),
        ("task_name", ""),
        ("task_name", "end_call"),
        ("task_name", "two words"),
        ("language", "tlh"),
        ("voice", "hal9000"),
        ("model_slug", "gpt-unknown"),
        ("max_minutes", "0"),
        ("max_minutes", "61"),
        ("max_minutes", "ten"),
        ("silence_timeout_s", "4"),
        ("max_output_tokens", "4097"),
        ("daily_ceiling_credits", "-1"),
        ("daily_ceiling_credits", "1000001"),
        ("allowed_origins", "http://example.com"),
        ("allowed_origins", "https://example.com/path"),
        ("allowed_origins", "javascript:alert(1)"),
        ("allowed_origins", "https://user@example.com"),
        ("allowed_origins", "https://example.com:port"),
        ("allowed_origins", "\n".join(f"https://s{n}.example.com" for n in range(21))),
    ],
)
def test_a_value_out_of_bounds_is_sent_back(client, alice, field, value):
    response = client.post("/console/agents/new/faq/", form_data(**{field: value}))
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert not Agent.objects.exists()


def test_fields_of_the_model_that_are_not_in_the_form_cannot_be_set(client, alice, cast):
    client.post("/console/agents/new/faq/", form_data(is_demo="on", organisation=str(cast.other_organisation.pk)))
    made = Agent.objects.get()
    assert made.organisation == cast.organisation and not made.is_demo


def test_the_number_of_agents_is_bounded(client, alice, monkeypatch, agent):
    monkeypatch.setattr(rules, "MOST_AGENTS", 1)
    assert client.post("/console/agents/new/faq/", form_data()).status_code == 422
    assert Agent.objects.count() == 1


def test_an_unknown_template_is_nothing(client, alice):
    assert client.get("/console/agents/new/hypnosis/").status_code == 404


def test_a_model_that_was_shut_down_is_not_offered_but_stays_chosen_where_it_was(client, alice, cast):
    CatalogueModel.objects.filter(slug="gpt-realtime").update(status="retired")
    old = make_agent(cast.organisation, model_slug="gpt-realtime")
    assert "gpt-realtime" not in dict(
        client.get("/console/agents/new/faq/").context["form"]["model_slug"].field.choices
    )
    assert "gpt-realtime" in dict(client.get(paths_of(old)[1]).context["form"]["model_slug"].field.choices)


def test_language_practice_says_that_it_needs_a_key_when_there_is_none(client, alice, settings):
    assert b"OPENAI_API_KEY" in client.get("/console/agents/new/language_practice/").content
    assert b"OPENAI_API_KEY" in client.get("/console/agents/new/").content
    settings.OPENAI_API_KEY = "sk-test"
    assert b"OPENAI_API_KEY" not in client.get("/console/agents/new/language_practice/").content


def test_the_agents_page_says_when_another_model_answers(client, alice, agent):
    assert b"answers instead" in client.get(paths_of(agent)[0]).content


def test_the_agents_page_holds_the_call_and_its_latest_calls(client, alice, agent):
    session = make_session(agent)
    page = client.get(paths_of(agent)[0])
    assert page.context["call"]["captcha_kind"] == "none"
    assert str(session.pk) in page.content.decode()


def test_only_a_public_agent_shows_its_link(client, alice, agent, cast):
    public = make_agent(cast.organisation, is_public=True)
    assert f"http://testserver/talk/{public.public_key}/" in client.get(paths_of(public)[0]).content.decode()
    assert agent.public_key + "/" not in client.get(paths_of(agent)[0]).content.decode()


def test_editing_changes_the_agent_and_not_its_key(client, alice, agent):
    client.post(paths_of(agent)[1], form_data(name="New name"))
    changed = Agent.objects.get()
    assert (changed.name, changed.public_key, changed.template) == ("New name", agent.public_key, "appointment")


def test_a_wrong_edit_changes_nothing_and_keeps_the_heading(client, alice, agent):
    response = client.post(paths_of(agent)[1], form_data(name="Oops", max_minutes="99"))
    assert b"<h1>Edit Reception</h1>" in response.content
    assert Agent.objects.get().name == "Reception"


def test_an_agent_is_paused_and_resumed(client, alice, agent):
    client.post(f"/console/agents/{agent.pk}/pause/")
    assert not Agent.objects.get().is_active
    client.post(f"/console/agents/{agent.pk}/resume/")
    assert Agent.objects.get().is_active


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_link_cannot_pause_or_resume(client, alice, agent, action):
    assert client.get(f"/console/agents/{agent.pk}/{action}/").status_code == 405


def test_bob_sees_an_agent_and_may_not_change_it(client, cast, agent):
    client.force_login(cast.bob)
    show, edit = paths_of(agent)
    assert client.get(show).status_code == 200
    assert client.get(edit).status_code == 403
    assert client.post(f"/console/agents/{agent.pk}/pause/").status_code == 403
    assert client.get("/console/agents/new/").status_code == 403
    assert client.post("/console/agents/new/faq/", form_data()).status_code == 403


def test_an_admin_may_change_it(client, cast, agent):
    Membership.objects.filter(user=cast.bob).update(role=Role.ADMIN)
    client.force_login(cast.bob)
    assert client.get(paths_of(agent)[1]).status_code == 200


def test_for_mallory_the_agent_does_not_exist(client, cast, agent):
    client.force_login(cast.mallory)
    for path in paths_of(agent):
        assert client.get(path).status_code == 404
        assert client.post(path, form_data()).status_code in (404, 405)
    for action in ("pause", "resume"):
        assert client.post(f"/console/agents/{agent.pk}/{action}/").status_code == 404
    assert agent.name not in client.get("/console/agents/").content.decode()
    agent.refresh_from_db()
    assert agent.is_active and agent.name == "Reception"


@pytest.mark.parametrize("path", ["/console/", "/console/agents/", "/console/agents/new/", "/console/calls/"])
def test_a_visitor_is_asked_to_log_in(client, db, path):
    assert client.get(path).url == f"/accounts/login/?next={path}"


def test_names_are_escaped(client, alice, cast):
    make_agent(cast.organisation, name="<script>alert(1)</script>", greeting="<img src=x>")
    page = client.get("/console/agents/").content.decode()
    assert "<script>alert" not in page and "<img src=x>" not in page


def test_all_languages_that_sarvam_hears_and_speaks_can_be_chosen():
    codes = {sarvam.language_code(tag) for tag, _ in LANGUAGES}
    assert {f"{name}-IN" for name in sarvam.LANGUAGES} <= codes


def test_a_page_without_words_in_a_language_is_english_around_the_call():
    assert {tag for tag, _ in LANGUAGES if words_of(tag)["language"] == tag} == set(languages())
    assert words_of("ta")["language"] == "en"


def test_an_agent_may_speak_tamil_though_the_page_cannot(client, agent):
    Agent.objects.filter(pk=agent.pk).update(language="ta", is_public=True)
    page = client.get(f"/talk/{agent.public_key}/").text
    assert 'data-language="ta"' in page and 'lang="en"' in page
