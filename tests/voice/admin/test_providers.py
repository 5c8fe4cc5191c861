"""Providers in the operator's tool: keys go in and never come out, and a model can be tried."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from tests.factories import make_user
from tests.fakes.scripted_upstream import ScriptedUpstream
from voice.models import CatalogueModel, Provider, ProviderKey
from voice.sessions.fallback import trial
from voice.upstream.errors import UpstreamDropped, UpstreamRefused

PROVIDERS = "/admin/voice/provider/"
KEY, SPEECH_KEY, THEIR_KEY = "sk-of-ours-1", "sk-of-speech-1", "sk-of-theirs-1"


def form(**changes):
    fields = {"name": "Our Azure", "adapter": "azure_openai", "base_url": "https://desk.openai.azure.com"}
    rows = {"organisation_keys-TOTAL_FORMS": 0, "organisation_keys-INITIAL_FORMS": 0}
    return fields | {"needs_key": "on", "new_api_key": KEY} | rows | changes


@pytest.fixture
def azure(desk):
    assert desk.post(f"{PROVIDERS}add/", form()).status_code == 302
    return Provider.objects.get(name="Our Azure")


def change(desk, provider, **changes):
    return desk.post(f"{PROVIDERS}{provider.pk}/change/", form(new_api_key="") | changes)


def test_a_key_is_kept_encrypted(azure):
    assert azure.api_key == KEY
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM voice_provider WHERE id = %s", [azure.pk])
        assert KEY not in cursor.fetchone()[0]


def test_no_page_shows_a_key_again(desk, azure):
    pages = [PROVIDERS, f"{PROVIDERS}{azure.pk}/change/", f"{PROVIDERS}{azure.pk}/history/"]
    assert not [page for page in pages if KEY in desk.get(page).content.decode()]


def test_the_log_says_who_changed_a_key_and_not_what_it_is(desk, azure, operator):
    change(desk, azure, new_api_key="sk-of-ours-2")
    entry = LogEntry.objects.latest("action_time")
    assert (entry.user, entry.get_change_message()) == (operator, "Changed Key.")


def test_saving_without_typing_a_key_keeps_it(desk, azure):
    assert change(desk, azure, name="Azure in Sweden").status_code == 302
    azure.refresh_from_db()
    assert (azure.name, azure.api_key) == ("Azure in Sweden", KEY)


def test_keys_can_be_forgotten(desk, azure):
    change(desk, azure, forget_keys="on")
    azure.refresh_from_db()
    assert azure.api_key == ""


def test_an_organisation_gets_a_key_of_its_own_there(desk, azure, cast):
    row = {"organisation_keys-TOTAL_FORMS": 1, "organisation_keys-0-organisation": cast.organisation.pk}
    change(desk, azure, **row, **{"organisation_keys-0-new_api_key": THEIR_KEY})
    assert ProviderKey.objects.get(organisation=cast.organisation).api_key == THEIR_KEY
    assert THEIR_KEY not in desk.get(f"{PROVIDERS}{azure.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base_url": "http://desk.openai.azure.com"}, "base_url"),
        ({"base_url": "ftp://desk.openai.azure.com"}, "base_url"),
        ({"base_url": "https://key:secret@desk.openai.azure.com"}, "base_url"),
        ({"base_url": "https://desk.example:nan"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"new_api_key": "two words"}, "new_api_key"),
        ({"new_api_key": "clé"}, "new_api_key"),
        ({"entra_tenant": "contoso.example"}, "entra_client_id"),
    ],
)
def test_what_cannot_work_is_refused_beside_its_field(desk, changes, field):
    page = desk.post(f"{PROVIDERS}add/", form(**changes))
    assert list(page.context["adminform"].form.errors) == [field]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "http://10.1.2.3/v1", "http://models:8000/v1"])
def test_inside_your_own_network_an_address_may_be_plain(desk, address):
    assert desk.post(f"{PROVIDERS}add/", form(adapter="pipeline", base_url=address)).status_code == 302


def test_the_list_says_which_have_a_key(desk, azure):
    Provider.objects.create(name="Nobody's", adapter="sarvam")
    rows = {row.name: row.is_keyed for row in desk.get(PROVIDERS).context["cl"].result_list}
    assert (rows["Our Azure"], rows["Nobody's"]) == (True, False)


@pytest.fixture
def scripted():
    return ScriptedUpstream()


@pytest.fixture
def dials(monkeypatch, settings):
    """Let dialling come to an upstream or an error; returns the endpoints dialled."""

    settings.OPENAI_API_KEY = "sk-test"

    def arrange(outcome):
        dialled = []

        async def dial(endpoint, *, timeout_s):
            dialled.append(endpoint)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(trial.registry, "dial", dial)
        return dialled

    return arrange


def try_it(desk, slug="gpt-realtime-mini"):
    page = desk.post(f"/admin/voice/cataloguemodel/{slug}/try/", follow=True)
    return [str(message) for message in page.context["messages"]]


def test_trying_a_model_says_how_soon_it_answers(desk, dials, scripted):
    dials(scripted)
    [said] = try_it(desk)
    assert said.startswith("GPT Realtime mini answers: session.created after ")
    assert scripted.closed


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (UpstreamRefused("upstream_unauthorized", retryable=False), "it does not accept the key"),
        (UpstreamRefused("upstream_rate_limited", retryable=True), "the quota of this minute or of the account"),
        (UpstreamDropped("upstream_unreachable", retryable=True), "nothing answers at its address"),
        (UpstreamRefused("upstream_something_new", retryable=True), "it answers “upstream_something_new”"),
    ],
)
def test_trying_a_model_says_in_plain_words_why_not(desk, dials, error, why):
    dials(error)
    [said] = try_it(desk)
    assert said.startswith(f"GPT Realtime mini cannot be used now: {why}")


def test_a_model_without_its_key_is_not_dialled(desk, dials, scripted):
    dialled = dials(scripted)
    assert try_it(desk, "sarvam-gpt-4.1") == ["Sarvam with GPT-4.1 needs a key for Sarvam, and this server has none."]
    assert dialled == []


def test_trying_a_model_is_written_down(desk, dials, operator):
    dials(UpstreamRefused("upstream_unauthorized", retryable=False))
    try_it(desk)
    entry = LogEntry.objects.latest("action_time")
    assert (entry.user, entry.get_change_message()) == (operator, "Tried: upstream_unauthorized.")


def test_a_model_is_tried_where_its_provider_is(desk, dials, azure, scripted):
    dialled = dials(scripted)
    CatalogueModel.objects.filter(slug="gpt-realtime-mini").update(provider=azure, provider_model="our-mini")
    try_it(desk)
    [endpoint] = dialled
    assert (endpoint.adapter, endpoint.model, endpoint.api_key) == ("azure_openai", "our-mini", KEY)


def test_a_link_tries_nothing_and_what_is_no_model_for_calls_cannot_be_tried(desk):
    assert desk.get("/admin/voice/cataloguemodel/gpt-realtime-mini/try/").status_code == 405
    assert desk.post("/admin/voice/cataloguemodel/gpt-4.1/try/").status_code == 404


@pytest.mark.usefixtures("catalogue")
def test_who_may_only_look_cannot_try(client):
    client.force_login(make_user(is_staff=True), backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/admin/voice/cataloguemodel/gpt-realtime-mini/try/").status_code == 403
