"""Changing the keys of what is encrypted at rest: old ones read until everything has moved to the new one."""

import pytest
from django.core.management import CommandError, call_command

from voice.models import AgentTool, WebhookEndpoint
from voice.tools.keeping import add_tool
from voice.webhooks.endpoints import add_endpoint, new_secret_of

OLD, NEW = "an old key that is long enough to be one", "a new key that is also long enough to be one"


@pytest.fixture
def secrets(agent, settings):
    """An endpoint's two secrets and a tool's one, encrypted with the old key."""
    settings.ENCRYPTION_KEYS = [OLD]
    endpoint, first = add_endpoint(agent.organisation, url="https://a.example/", event_types=[])
    second = new_secret_of(endpoint)
    fields = {"name": "look_up", "description": "d", "parameters": {"type": "object"}, "url": "https://a.example/"}
    add_tool(agent, {**fields, "secret_header": "X-Key", "secret": "very secret"})
    return second, first, "very secret"


def read():
    endpoint, tool = WebhookEndpoint.objects.get(), AgentTool.objects.get()
    return endpoint.secret, endpoint.old_secret, tool.secret


def test_afterwards_the_old_key_is_not_needed(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    call_command("reencrypt_secrets")
    settings.ENCRYPTION_KEYS = [NEW]
    assert read() == secrets


def test_without_the_old_key_nothing_is_lost(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError):
        call_command("reencrypt_secrets")
    settings.ENCRYPTION_KEYS = [OLD]
    assert read() == secrets


def test_a_repeat_does_no_harm(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    for _ in range(2):
        call_command("reencrypt_secrets")
    assert read() == secrets
