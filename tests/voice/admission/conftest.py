"""Calls that are about to be asked for."""

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts import captcha
from voice.admission.admit import CallRequest
from voice.admission.captcha_memory import PersonCheck


@pytest.fixture
def ask(agent, monkeypatch):
    """Make a public caller's request for the agent; the CAPTCHA is solved by the word "right"."""

    def verify(payload, remote_ip):
        outcomes = {"wrong": captcha.CaptchaFailed, "used": captcha.CaptchaReused, "down": captcha.CaptchaUnavailable}
        if payload in outcomes:
            raise outcomes[payload]

    monkeypatch.setattr(captcha, "verify", verify)

    def make(of=agent, *, payload="right", cookie="", client_ip="203.0.113.7", **fields):
        return CallRequest(
            **{
                "agent_key": of.public_key,
                "user": AnonymousUser(),
                "client_ip": client_ip,
                "origin": "http://testserver",
                "scheme": "http",
                "host": "testserver",
                "person": PersonCheck(payload=payload, cookie=cookie, client_ip=client_ip),
                **fields,
            }
        )

    return make
