import pytest

from tests import factories
from tests.voice.api.conftest import error_of
from voice.catalogue import breaker
from voice.catalogue.providers import offered_to
from voice.models import CatalogueModel, ModelOverride, Provider, ProviderKey, Rate

PUBLIC = "/api/v1/models"
AZURE = "azure-gpt-realtime-mini"


def entry(response, slug):
    return next(each for each in response.json()["data"] if each["id"] == slug)


@pytest.mark.usefixtures("catalogue")
def test_anybody_may_read_what_is_on_offer_and_until_when(client):
    model = entry(client.get(PUBLIC), "gpt-realtime-mini")
    assert (model["kind"], model["status"], model["shutdown_date"]) == ("realtime", "available", "2027-01-20")
    assert (model["successor"], model["context_tokens"], model["max_output_tokens"]) == (
        "gpt-realtime-2.1-mini", 32_000, 4_096,
    )  # fmt: skip
    assert model["input_modalities"] == ["text", "audio", "image"] and "marin" in model["voices"]
    assert (model["prices"]["audio_in"], model["prices"]["text_cached_in"]) == ("1500", "8.1")


@pytest.mark.usefixtures("catalogue")
def test_a_model_says_what_answers_in_its_place_today(client):
    CatalogueModel.objects.filter(slug="gpt-realtime").update(status="maintenance", status_note="Back soon.")
    model = entry(client.get(PUBLIC), "gpt-realtime")
    assert (model["status"], model["status_note"], model["served_by"]) == (
        "maintenance", "Back soon.", "parley-embedded",
    )  # fmt: skip
    assert "is under maintenance" in model["served_reason"]


@pytest.mark.usefixtures("catalogue")
def test_a_model_that_does_not_answer_is_not_available_though_its_status_stands(client, settings):
    settings.OPENAI_API_KEY = "sk-operators-own"
    assert entry(client.get(PUBLIC), "gpt-realtime")["available"] is True
    breaker.failed("gpt-realtime", "upstream_unauthorized")
    model = entry(client.get(PUBLIC), "gpt-realtime")
    assert (model["status"], model["available"], model["served_by"]) == ("available", False, "gpt-realtime-2.1")
    assert model["served_reason"] == "GPT Realtime is not answering: GPT Realtime 2.1 answers instead."


@pytest.mark.usefixtures("catalogue")
def test_a_model_that_nothing_stands_in_for_says_why_it_is_away(client):
    CatalogueModel.objects.filter(slug="parley-embedded").update(status="maintenance")
    model = entry(client.get(PUBLIC), "parley-embedded")
    assert (model["available"], model["served_by"]) == (False, None)
    assert model["served_reason"] == "Parley's own model is under maintenance."


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("slug", "served"),
    [
        ("gpt-4.1", "parley-receptionist"),
        ("gpt-4o-transcribe", "parley-embedded-transcribe"),
        ("gpt-4o-mini-tts", "parley-embedded-speech"),
    ],
)
def test_without_a_key_of_the_operators_own_models_answer(client, settings, slug, served):
    assert entry(client.get(PUBLIC), slug)["served_by"] == served
    settings.OPENAI_API_KEY = "sk-operators-own"
    assert entry(client.get(PUBLIC), slug)["served_by"] == slug


@pytest.mark.usefixtures("catalogue")
def test_the_price_is_the_one_that_bills(client):
    Rate.objects.filter(model__slug="gpt-4.1", kind="text_out").update(micro_per_million=1_234_500)
    assert entry(client.get(PUBLIC), "gpt-4.1")["prices"]["text_out"] == "1.2345"


def test_openais_clients_get_the_list_they_know(call, new_key):
    body = call("GET", "/v1/models").json()
    offered = offered_to(CatalogueModel.objects.all(), None)
    assert body["object"] == "list" and [each["id"] for each in body["data"]] == [model.slug for model in offered]
    assert {"id", "object", "created", "owned_by"} <= set(body["data"][0])
    only = call("GET", "/v1/models", key=new_key(allowed_models=["gpt-4.1"])).json()["data"]
    assert [each["id"] for each in only] == ["gpt-4.1"]


def test_a_model_of_an_organisations_own_key_is_listed_and_served_for_it_alone(call, client, new_key, organisation):
    azure = Provider.objects.get(name="Azure OpenAI")
    azure.base_url = "https://desk.openai.azure.com"
    azure.save()
    ProviderKey.objects.create(organisation=organisation, provider=azure, api_key="sk-theirs")
    mine = call("GET", "/v1/models")
    assert entry(mine, AZURE)["served_by"] == AZURE
    assert call("GET", f"/v1/models/{AZURE}").json()["served_by"] == AZURE
    theirs = new_key(of=factories.make_organisation("Another"))
    for answer in (call("GET", "/v1/models", key=theirs), client.get(PUBLIC)):
        assert AZURE not in [each["id"] for each in answer.json()["data"]]


def test_one_model_is_read_by_its_name(call):
    assert call("GET", "/v1/models/gpt-4.1").json()["kind"] == "chat"
    assert error_of(call("GET", "/v1/models/gpt-9")) == (404, "model_not_found", None)


@pytest.mark.usefixtures("catalogue")
def test_the_list_of_a_key_needs_the_key(client):
    assert error_of(client.get("/v1/models")) == (401, "invalid_api_key", None)


def test_a_key_is_told_what_its_organisation_is_offered(call, organisation, client):
    model = CatalogueModel.objects.get(slug="parley-embedded")
    own = {"status": "maintenance", "status_note": "For you alone.", "max_output_tokens": 99}
    ModelOverride.objects.create(organisation=organisation, model=model, **own)
    told = call("GET", "/v1/models/parley-embedded").json()
    assert (told["status"], told["status_note"], told["available"], told["max_output_tokens"]) == (
        "maintenance", "For you alone.", False, 99,
    )  # fmt: skip
    assert entry(call("GET", "/v1/models"), "parley-embedded")["status"] == "maintenance"
    assert entry(client.get(PUBLIC), "parley-embedded")["status"] == "available"
