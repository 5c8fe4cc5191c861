import pytest

from tests.voice.api.conftest import error_of
from tests.voice.conftest import CREDIT
from voice.admission.key_holders import authenticate_bearer
from voice.models import ClientSecret

PATH = "/v1/realtime/client_secrets"
SESSION = {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Be kind."}


def test_a_secret_is_made_in_openais_own_shape(call):
    response = call("POST", PATH, {"expires_after": {"anchor": "created_at", "seconds": 120}, "session": SESSION})
    body = response.json()
    secret = ClientSecret.objects.get()
    assert response.status_code == 200 and list(body) == ["value", "expires_at", "session"]
    assert body["value"].startswith("ek_") and body["session"]["object"] == "realtime.session"
    assert body["session"]["id"].startswith("sess_") and body["session"]["model"] == "gpt-realtime-mini"
    assert round((secret.expires_at - secret.created_at).total_seconds()) == 120
    assert abs(body["expires_at"] - secret.expires_at.timestamp()) <= 1


def test_it_opens_what_it_was_made_for_and_no_more(call):
    body = {"session": SESSION, "max_credits": 5, "max_duration_seconds": 60, "origins": ["https://shop.example"]}
    holder = authenticate_bearer(call("POST", PATH, body).json()["value"], origin="https://shop.example")
    assert (holder.allowed_models, holder.credits_cap_micro) == (("gpt-realtime-mini",), 5 * CREDIT)
    assert (holder.max_duration_s, holder.session["instructions"]) == (60, "Be kind.")


def test_an_empty_request_has_defaults(call, settings):
    holder = authenticate_bearer(call("POST", PATH, {}).json()["value"])
    assert holder.allowed_models == (settings.DEFAULT_REALTIME_MODEL,)


def test_a_secret_makes_no_other_and_reads_nothing(call):
    secret = call("POST", PATH, {}).json()["value"]
    assert error_of(call("POST", PATH, {}, key=secret)) == (403, "scope_missing", None)
    assert error_of(call("GET", "/v1/voice/sessions", key=secret)) == (403, "scope_missing", None)


def test_a_secret_starts_calls_as_its_key_does(call):
    secret = call("POST", PATH, {"session": SESSION}).json()["value"]
    assert call("POST", "/v1/voice/sessions", {}, key=secret).json()["model_asked"] == "gpt-realtime-mini"
    other = call("POST", "/v1/voice/sessions", {"llm_model": "gpt-realtime"}, key=secret)
    assert error_of(other) == (403, "model_not_allowed", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "never"}}, "expires_after.anchor"),
        ({"session": {"type": "transcription"}}, "session.type"),
        ({"session": {"model": 7}}, "session"),
        ({"session": {"audio": {"output": {"voice": "nova"}}}}, "session.audio.output.voice"),
        ({"session": {"audio": {"output": {"voice": ["marin"]}}}}, "session.audio.output.voice"),
        ({"session": {"instructions": "x" * 40_000}}, "session"),
        ({"origins": ["shop.example"]}, "origins"),
        ({"max_credits": 0}, "max_credits"),
        ({"max_duration_seconds": 29}, "max_duration_seconds"),
    ],
)
def test_what_it_cannot_be_bound_by_is_named(call, body, param):
    assert error_of(call("POST", PATH, body)) == (400, "invalid_request", param)
    assert not ClientSecret.objects.exists()


def test_a_model_must_be_one_that_the_key_may_use(call, new_key):
    key = new_key(allowed_models=["gpt-realtime-mini"])
    assert error_of(call("POST", PATH, {"session": {"model": "gpt-realtime"}}, key=key)) == (
        403,
        "model_not_allowed",
        None,
    )
    assert error_of(call("POST", PATH, {"session": {"model": "gpt-4.1"}})) == (404, "model_not_found", None)
