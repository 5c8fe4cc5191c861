"""Signatures are those of Standard Webhooks."""

import base64
import hashlib
import hmac

from voice.outgoing.signing import new_secret, signed_headers

# The example of the Standard Webhooks specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_signed_as_published():
    assert signed_headers(ID, TIMESTAMP_S, BODY, [SECRET]) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_signs():
    other = new_secret()
    first, second = signed_headers(ID, TIMESTAMP_S, BODY, [other, SECRET])["webhook-signature"].split(" ")
    assert second == SIGNATURE and first != SIGNATURE and first.startswith("v1,")


def test_a_secret_is_base64_of_32_random_bytes():
    secret = new_secret()
    assert secret.startswith("whsec_") and len(base64.b64decode(secret[6:])) == 32
    assert new_secret() != secret


def test_another_body_has_another_signature():
    assert signed_headers(ID, TIMESTAMP_S, b"{}", [SECRET])["webhook-signature"] != SIGNATURE


def test_a_receiver_that_follows_the_documentation_agrees():
    secret = new_secret()
    headers = signed_headers(ID, TIMESTAMP_S, BODY, [secret])
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), BODY])
    expected = base64.b64encode(hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
