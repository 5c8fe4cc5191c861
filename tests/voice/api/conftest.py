"""A browser on our own page."""

import pytest

from accounts import captcha
from accounts.exceptions import CaptchaFailed


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
