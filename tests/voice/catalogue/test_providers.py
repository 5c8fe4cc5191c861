"""Providers besides the built-in ones: not offered without a key, and dialled with whose key counts."""

from datetime import date

import pytest
from django.db import connection

from tests import factories
from voice.catalogue.http_models import http_models_of, resolve_http_model
from voice.catalogue.on_offer import ModelNotOffered, resolve_model, transcription_of
from voice.catalogue.providers import Keys, keys_of, offered_to
from voice.catalogue.rate_card import Kind, worst_case_micro
from voice.catalogue.rates import rate_card
from voice.metering.rating import rate
from voice.metering.usage import quantities_of_response
from voice.models import CatalogueModel, Provider, ProviderKey
from voice.models.catalogue import ModelKind
from voice.pricing.offers import models_for_sale
from voice.sessions.connect import endpoint_of
from voice.upstream.pipeline.parts import ChatTokens
from voice.upstream.pipeline.usage import usage_in_words
from voice.views.agent_form import AgentForm

pytestmark = pytest.mark.usefixtures("catalogue")
DAY = date(2026, 12, 1)
AZURE, SARVAM = "azure-gpt-realtime-mini", "sarvam-gpt-4.1"
RESOURCE = "https://desk.openai.azure.com"


def set_up(name, **fields):
    provider = Provider.objects.get(name=name)
    for field, value in fields.items():
        setattr(provider, field, value)
    provider.save()
    return provider


@pytest.fixture
def azure():
    return set_up("Azure OpenAI", base_url=RESOURCE, api_key="sk-azure")


@pytest.fixture
def sarvam(settings):
    settings.OPENAI_API_KEY = "sk-openai"
    return set_up("Sarvam", speech_api_key="sk-sarvam")


def resolved(slug, organisation=None):
    return resolve_model(slug, organisation, DAY)


def dialled(slug, organisation, **fields):
    agent = factories.make_agent(organisation, **fields)
    session = factories.make_session(agent, language=fields.get("language", "en"))
    return endpoint_of(CatalogueModel.objects.get(slug=slug), agent, session)


def test_without_an_address_azure_is_not_offered_and_says_why():
    answer = resolved(AZURE)
    assert answer.served.slug == "parley-embedded"
    assert answer.reason.startswith(
        "GPT Realtime mini at Azure needs the address of Azure OpenAI, and this server has none"
    )


def test_without_its_key_a_model_is_not_offered_and_says_why():
    set_up("Azure OpenAI", base_url=RESOURCE)
    assert resolved(AZURE).reason == (
        "GPT Realtime mini at Azure needs a key for Azure OpenAI, and this server has none: Parley's own model answers "
        "instead."
    )


def test_with_its_key_it_serves(azure):
    assert (resolved(AZURE).served.slug, resolved(AZURE).reason) == (AZURE, "")


def test_sarvam_needs_both_its_own_key_and_one_for_the_chat_model(settings, sarvam):
    assert resolved(SARVAM).served.slug == SARVAM
    settings.OPENAI_API_KEY = ""
    assert "needs a key for Sarvam" in resolved(SARVAM).reason


def test_a_provider_that_asks_for_no_key_is_offered_without_one():
    own = Provider.objects.create(name="Our GPU", adapter="pipeline", base_url="http://gpu:8000/v1", needs_key=False)
    CatalogueModel.objects.filter(slug=AZURE).update(provider=own)
    assert resolved(AZURE).served.slug == AZURE


def test_an_organisations_own_key_offers_the_model_to_it_alone(organisation):
    provider = set_up("Azure OpenAI", base_url=RESOURCE)
    ProviderKey.objects.create(organisation=organisation, provider=provider, api_key="sk-theirs")
    assert resolved(AZURE, organisation).served.slug == AZURE
    assert resolved(AZURE, factories.make_organisation("Another")).served.slug == "parley-embedded"


def test_an_organisations_own_key_counts_before_the_operators(azure, organisation):
    ProviderKey.objects.create(organisation=organisation, provider=azure, api_key="sk-theirs")
    assert dialled(AZURE, organisation).api_key == "sk-theirs"
    assert dialled(AZURE, factories.make_organisation("Another")).api_key == "sk-azure"


def test_a_key_of_its_own_that_is_empty_leaves_the_operators(sarvam, organisation):
    ProviderKey.objects.create(organisation=organisation, provider=sarvam, api_key="sk-theirs")
    assert keys_of(sarvam, organisation.pk) == Keys("sk-theirs", "sk-sarvam")


def test_the_key_for_openai_is_sent_to_no_other_address(sarvam):
    elsewhere = set_up("Sarvam", base_url="https://chat.example/v1")
    assert keys_of(elsewhere, None).api_key == ""


def test_a_key_that_cannot_be_read_any_more_is_as_none(azure):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE voice_provider SET api_key = 'no cipher text' WHERE id = %s", [azure.pk])
    assert "needs a key" in resolved(AZURE).reason


def test_azure_is_dialled_at_its_address_by_its_deployments_name(azure, organisation):
    made = dialled(AZURE, organisation)
    assert (made.adapter, made.base_url, made.model) == ("azure_openai", RESOURCE, "gpt-realtime-mini")
    assert (made.api_key, made.entra) == ("sk-azure", None)
    assert "sk-azure" not in repr(made)


def test_azure_with_an_application_is_dialled_by_its_token(azure, organisation):
    set_up("Azure OpenAI", entra_tenant="contoso.example", entra_client_id="app")
    made = dialled(AZURE, organisation)
    assert made.entra is not None and (made.entra.tenant, made.entra.client_id) == ("contoso.example", "app")


def test_sarvam_is_dialled_with_both_addresses_and_the_language_of_the_call(sarvam, organisation, settings):
    made = dialled(SARVAM, organisation, voice="kavya", language="hi")
    assert (made.adapter, made.base_url, made.api_key) == ("sarvam", settings.OPENAI_API_URL, "sk-openai")
    assert (made.speech_url, made.speech_api_key) == ("wss://api.sarvam.ai", "sk-sarvam")
    assert (made.chat_model, made.speech_to_text_model, made.text_to_speech_model) == (
        "gpt-4.1", "saaras:v3", "bulbul:v3",
    )  # fmt: skip
    assert (made.voice, made.language, made.costs_nothing) == ("kavya", "hi", False)


def test_any_openai_compatible_server_can_be_all_three_models(organisation):
    names = {"chat_model": "llama", "speech_to_text_model": "whisper", "text_to_speech_model": "kokoro"}
    own = Provider.objects.create(
        name="Our GPU", adapter="pipeline", base_url="https://gpu.example/v1", api_key="k", **names
    )
    CatalogueModel.objects.filter(slug=AZURE).update(provider=own, voices=["af_heart"])
    made = dialled(AZURE, organisation)
    assert (made.adapter, made.base_url, made.api_key) == ("pipeline", "https://gpu.example/v1", "k")
    assert (made.chat_model, made.speech_to_text_model, made.text_to_speech_model) == ("llama", "whisper", "kokoro")
    # Somebody bills it: no answer is begun that may be thrown away.
    assert (made.voice, made.costs_nothing) == ("af_heart", False)


def test_another_account_at_openai_is_dialled_with_its_own_key(organisation, settings):
    settings.OPENAI_API_KEY = "sk-first"
    second = Provider.objects.create(name="Second account", adapter="openai", api_key="sk-second")
    CatalogueModel.objects.filter(slug="gpt-realtime").update(provider=second)
    made = dialled("gpt-realtime", organisation)
    assert (made.base_url, made.api_key) == (settings.OPENAI_REALTIME_URL, "sk-second")


def test_an_agents_form_offers_what_is_set_up_with_its_voices(organisation):
    agent = factories.make_agent(organisation)
    before = AgentForm(instance=agent).fields
    set_up("Sarvam", speech_api_key="sk-sarvam")
    after = AgentForm(instance=agent).fields
    assert SARVAM not in dict(before["model_slug"].choices) and "kavya" not in dict(before["voice"].choices)
    assert SARVAM in dict(after["model_slug"].choices) and "kavya" in dict(after["voice"].choices)


def test_what_hears_beside_a_model_is_had_with_the_key_its_caller_brought(organisation):
    provider = Provider.objects.get(name="Sarvam")
    keys = {"api_key": "sk-theirs", "speech_api_key": "sk-theirs-too"}
    ProviderKey.objects.create(organisation=organisation, provider=provider, **keys)
    served = resolved(SARVAM, organisation).served
    found = transcription_of(served, DAY)
    assert served.slug == SARVAM and found is not None and found.slug == "sarvam-saaras-v3"


def test_models_of_providers_that_nobody_set_up_are_not_shown_to_customers(azure):
    shown = set(offered_to(CatalogueModel.objects.filter(kind=ModelKind.REALTIME), None).values_list("slug", flat=True))
    assert AZURE in shown and "gpt-realtime-mini" in shown and SARVAM not in shown
    assert SARVAM not in [model.slug for model in models_for_sale()]


def test_an_organisation_with_a_key_of_its_own_is_shown_its_models(organisation):
    ProviderKey.objects.create(organisation=organisation, provider=Provider.objects.get(name="Sarvam"), api_key="k")
    shown = offered_to(CatalogueModel.objects.all(), organisation.pk)
    assert shown.filter(slug=SARVAM).exists()


def test_ears_of_a_call_are_not_asked_for_over_http(sarvam):
    assert "sarvam-saaras-v3" not in http_models_of(ModelKind.TRANSCRIPTION)
    with pytest.raises(ModelNotOffered):
        resolve_http_model("sarvam-saaras-v3", ModelKind.TRANSCRIPTION, DAY)


def test_sarvams_rupees_are_dollars_rounded_up():
    speaking, hearing = rate_card(SARVAM, DAY), rate_card("sarvam-saaras-v3", DAY)
    # 3 000 rupees a million characters are $34.090909…; 30 an hour are $94.696969… a million seconds.
    assert speaking.rate_of(Kind.CHARACTERS) == 34_090_910 * 135
    assert hearing.rate_of(Kind.SECONDS) == 94_696_970 * 135


def test_a_response_of_sarvams_is_charged_by_its_words_and_characters():
    used = usage_in_words(ChatTokens(read=1_000, cached=600, written=50), characters=200)
    charged = rate(quantities_of_response(used), rate_card(SARVAM, DAY))
    words = (400 * 2_000_000 + 600 * 500_000 + 50 * 8_000_000) * 135
    assert charged.total_micro == -(-(words + 200 * 34_090_910 * 135) // 1_000_000)


def test_what_is_held_for_a_response_of_sarvams_covers_a_quick_speaker():
    """Eighteen characters a second fill the same tokens with words and sound that the hold was made for."""
    card = rate_card(SARVAM, DAY)
    spoken = usage_in_words(ChatTokens(read=2_000, cached=0, written=18 * 40 // 4), characters=18 * 40)
    held_micro = worst_case_micro(card, context_tokens=2_000, max_output_tokens=20 * 40 + 18 * 40 // 4)
    assert rate(quantities_of_response(spoken), card).total_micro <= held_micro
