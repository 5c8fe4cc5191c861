"""Every door that takes a key, when the key is over: revoked, expired, spent, or a client secret past its time."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.api_keys import revoke_key
from accounts.models import ApiKey
from accounts.organisations import suspend_organisation
from billing import ledger
from tests.voice.api.conftest import error_of
from voice.admission.admit_request import Need, admit_request, model_for
from voice.admission.key_holders import authenticate_bearer, create_client_secret
from voice.admission.refusals import Refusal
from voice.models import ApiRequest, ClientSecret, Session
from voice.models.catalogue import ModelKind

# The endpoints for text and speech work on threads of their own.
pytestmark = pytest.mark.django_db(transaction=True)

HELLO = [{"role": "user", "content": "Hello!"}]
CHAT = ("POST", "/v1/chat/completions", {"model": "gpt-4.1", "messages": HELLO})
SPEECH = ("POST", "/v1/audio/speech", {"model": "gpt-4o-mini-tts", "input": "Hello."})
DOORS = [
    CHAT,
    SPEECH,
    ("POST", "/v1/realtime/client_secrets", {}),
    ("POST", "/v1/voice/sessions", {"llm_model": "gpt-realtime-mini"}),
    ("GET", "/v1/voice/sessions", None),
    ("DELETE", "/v1/voice/sessions/00000000-0000-4000-8000-000000000000", None),
    ("GET", "/v1/models", None),
]
TRANSCRIPTIONS = "/v1/audio/transcriptions"


def revoked(key):
    revoke_key(key)
    return "api_key_revoked"


def expired(key):
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return "api_key_expired"


@pytest.fixture
def key(new_key):
    """A key's text and its row."""
    text = new_key()
    return text, ApiKey.objects.get()


@pytest.fixture
def nothing_happened(organisation):
    yield
    assert not Session.objects.exists() and not ApiRequest.objects.exists()
    assert ledger.balance_of(organisation.id).held_micro == 0


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("end", [revoked, expired])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_a_key_that_is_over_opens_no_door(call, key, end, door):
    code = end(key[1])
    method, path, body = door
    assert error_of(call(method, path, body, key=key[0])) == (401, code, None)


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("end", [revoked, expired])
def test_a_key_that_is_over_has_nothing_written_down(client, key, end):
    code = end(key[1])
    body = {"model": "gpt-4o-transcribe", "file": SimpleUploadedFile("call.wav", b"RIFF" + b"\0" * 3200)}
    response = client.post(TRANSCRIPTIONS, body, headers={"Authorization": f"Bearer {key[0]}"})
    assert error_of(response) == (401, code, None)


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("door", [CHAT, SPEECH], ids=["chat", "speech"])
def test_a_suspended_organisations_key_buys_nothing(call, key, organisation, door):
    suspend_organisation(organisation, "Unpaid", None)
    method, path, body = door
    assert error_of(call(method, path, body, key=key[0])) == (403, "organisation_suspended", None)


@pytest.mark.usefixtures("nothing_happened")
def test_a_key_that_is_revoked_while_its_request_is_read_buys_nothing(key):
    holder = authenticate_bearer(key[0])
    model = model_for(holder, "gpt-4.1", ModelKind.CHAT)
    revoke_key(key[1])
    with pytest.raises(Refusal) as refused:
        admit_request(holder, model, ApiRequest.Kind.CHAT, Need(1000, 1000), client_ip="")
    assert refused.value.code == "api_key_revoked"


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("door", [CHAT, SPEECH], ids=["chat", "speech"])
def test_a_key_without_budget_buys_nothing(call, new_key, door):
    method, path, body = door
    response = call(method, path, body, key=new_key(monthly_budget_micro=0))
    assert error_of(response) == (402, "api_key_budget_reached", None)


@pytest.fixture
def secret(key):
    return create_client_secret(authenticate_bearer(key[0]), model="gpt-realtime-mini", session={}, lifetime_s=600)


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_a_client_secret_past_its_time_opens_no_door(call, secret, door):
    ClientSecret.objects.update(expires_at=timezone.now())
    method, path, body = door
    assert error_of(call(method, path, body, key=secret[1])) == (401, "api_key_expired", None)


@pytest.mark.usefixtures("nothing_happened")
@pytest.mark.parametrize("door", [CHAT, SPEECH], ids=["chat", "speech"])
def test_a_client_secret_buys_calls_only(call, secret, door):
    method, path, body = door
    assert error_of(call(method, path, body, key=secret[1])) == (403, "scope_missing", None)
