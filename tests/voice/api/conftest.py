"""A browser on our own page, and a customer's code with a key."""

import json
from contextlib import ExitStack

import pytest

from accounts import captcha
from accounts.api_keys import create_key
from accounts.exceptions import CaptchaFailed
from tests.fakes.provider_server import ProviderServer


@pytest.fixture
def right_captcha(monkeypatch):
    """The CAPTCHA is solved by the word "right"."""

    def verify(payload, remote_ip):
        if payload != "right":
            raise CaptchaFailed

    monkeypatch.setattr(captcha, "verify", verify)


@pytest.fixture
def post(client, right_captcha):
    def send(path, body, **extra):
        headers = {"Origin": "http://testserver", **extra.pop("headers", {})}
        return client.post(path, body, content_type=extra.pop("content_type", "application/json"), headers=headers)

    return send


@pytest.fixture
def new_key(organisation, catalogue):
    """Make an API key with such limits and return its text."""

    def make(**limits):
        return create_key(limits.pop("of", organisation), name="Website", **limits)[1]

    return make


@pytest.fixture
def call(client, new_key):
    """Send a request as a customer's code does, with a key that may do everything unless one is given."""

    def send(method, path, body=None, *, key=None, **headers):
        headers = {"Authorization": f"Bearer {key or new_key()}", **headers}
        return client.generic(
            method, path, "" if body is None else json.dumps(body), content_type="application/json", headers=headers
        )

    return send


@pytest.fixture
def provider(settings):
    """Start a provider with such answers, and let the API ask it with a key of ours."""
    with ExitStack() as stack:

        def start(*answers):
            server = stack.enter_context(ProviderServer(*answers))
            settings.OPENAI_API_URL, settings.OPENAI_API_KEY = server.url, "sk-operators-own"
            return server

        yield start


@pytest.fixture
def embedded(settings):
    """Start a server in the place of the embedded models."""
    with ExitStack() as stack:

        def start(*answers):
            server = stack.enter_context(ProviderServer(*answers))
            settings.LOCAL_MODELS_URL = server.url
            return server

        yield start


def error_of(response):
    """Return an error's status, code and field; it has nothing else but a message and a type."""
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message", "type", "param"}
    return response.status_code, body["error"]["code"], body["error"]["param"]
