"""The guarded client against servers that lie, stall and flood, all on this machine."""

import datetime
import gzip
import socket
import ssl
import threading
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver
from voice.outgoing import Refused, client, request, request_async


@pytest.fixture
def names(monkeypatch):
    """Say what host names resolve to: one list of addresses for each time a name is asked for."""
    answers = {}

    async def resolve(host, port):
        return [ip_address(address) for address in answers[host].pop(0)]

    monkeypatch.setattr(client, "resolve", resolve)
    return answers


def refusal_of(*args, **kwargs):
    with pytest.raises(Refused) as refused:
        request(*args, **{"headers": {}, **kwargs})
    return refused.value.code


# What is sent, and what comes back.


def test_a_request_arrives_as_it_was_meant():
    with WebhookReceiver() as receiver:
        request("POST", receiver.url + "?a=b", headers={"X-Key": "secret"}, body=b'{"a":1}')
    (received,) = receiver.received
    assert (received.method, received.path, received.body) == ("POST", "/hook?a=b", b'{"a":1}')
    assert received.headers["x-key"] == "secret"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"


def test_the_answer_is_given_whatever_its_status():
    with WebhookReceiver([Answer(503, {"Retry-After": "7"}, b"busy")]) as receiver:
        reply = request("POST", receiver.url, headers={})
    assert (reply.status, reply.headers["retry-after"], reply.body) == (503, "7", b"busy")


async def test_it_works_inside_an_event_loop():
    with WebhookReceiver([Answer(200, body=b"hello")]) as receiver:
        reply = await request_async("GET", receiver.url, headers={})
    assert reply.body == b"hello"


def test_the_host_name_is_what_the_server_is_told(names):
    with WebhookReceiver() as receiver:
        names["desk.example.com"] = [["127.0.0.1"]]
        request("GET", f"http://desk.example.com:{receiver.port}/x", headers={})
    assert receiver.received[0].headers["host"] == f"desk.example.com:{receiver.port}"


def test_the_next_address_is_tried_when_one_is_dead(names):
    with WebhookReceiver() as receiver:
        names["desk.example.com"] = [["::1", "127.0.0.1"]]
        assert request("GET", f"http://desk.example.com:{receiver.port}/x", headers={}).status == 200


@pytest.mark.parametrize(
    "header",
    [
        {"X-Key": "a\r\nX-Admin: 1"},
        {"X-Key": "a\nb"},
        {"X-Key": "a\0b"},
        {"X-Key": "ключ"},
        {"X-Key": " a"},
        {"X-Key": "a" * 5000},
        {"X-Key\r\nX-Admin": "1"},
        {"X Key": "1"},
        {"": "1"},
        {"Host": "inside"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
def test_a_header_that_would_break_out_of_its_request_is_refused(header):
    with WebhookReceiver() as receiver:
        assert refusal_of("POST", receiver.url, headers=header) == "bad_header"
    assert receiver.received == []


# Where it may not go.


def test_without_the_developers_permission_this_machine_is_out_of_reach(settings, names):
    settings.OUTGOING_ALLOW_PRIVATE = False
    names["inside.example.com"] = [["127.0.0.1"]]
    with WebhookReceiver() as receiver:
        assert refusal_of("GET", f"https://inside.example.com:{receiver.port}/") == "address_not_allowed"
    assert receiver.received == []


def test_the_developers_permission_opens_this_machine_only(names):
    names["inside.example.com"] = [["10.0.0.1"]]
    assert refusal_of("GET", "http://inside.example.com/") == "address_not_allowed"


def test_the_developers_permission_allows_http_to_this_machine_only(names):
    names["example.com"] = [["93.184.215.14"]]
    assert refusal_of("GET", "http://example.com/") == "not_https"


def test_a_name_that_also_points_inside_is_refused(settings, names):
    settings.OUTGOING_ALLOW_PRIVATE = False
    names["both.example.com"] = [["93.184.215.14", "10.0.0.1"]]
    assert refusal_of("GET", "https://both.example.com/") == "address_not_allowed"


def test_the_address_that_was_checked_is_the_one_that_is_dialled(names, monkeypatch):
    """A name that answers with a public address first and a private one next (rebinding) gains nothing."""
    names["rebinding.example.com"] = [["127.0.0.1"], ["10.0.0.1"]]
    asked_by_the_system = []
    monkeypatch.setattr(socket, "getaddrinfo", watching(socket.getaddrinfo, asked_by_the_system))
    with WebhookReceiver() as receiver:
        request("GET", f"http://rebinding.example.com:{receiver.port}/", headers={})
    assert names["rebinding.example.com"] == [["10.0.0.1"]]
    assert "rebinding.example.com" not in asked_by_the_system


def watching(getaddrinfo, asked):
    def watched(host, *args, **kwargs):
        asked.append(host)
        return getaddrinfo(host, *args, **kwargs)

    return watched


def test_a_name_that_resolves_to_nothing_is_unreachable(names):
    names["empty.example.com"] = [[]]
    assert refusal_of("GET", "https://empty.example.com/") == "unreachable"


def test_a_name_that_does_not_exist_is_unreachable(monkeypatch):
    def no_such_name(*_, **__):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    assert refusal_of("GET", "https://nowhere.example.com/") == "unreachable"


@pytest.mark.parametrize(
    "url", ["https://2130706433/", "https://0x7f.1/", "https://u:p@example.com/", "https://[::ffff:10.0.0.1]/"]
)
def test_a_hidden_address_is_refused_here_too(url):
    assert refusal_of("GET", url) in ("bad_url", "address_not_allowed")


# Redirects.


def test_a_redirect_is_the_answer_unless_it_may_be_followed():
    with WebhookReceiver([Answer(302, {"Location": "/next"})]) as receiver:
        assert request("POST", receiver.url, headers={}).status == 302
    assert len(receiver.received) == 1


def test_a_redirect_is_followed_as_often_as_allowed():
    with WebhookReceiver([Answer(307, {"Location": "/next"}), Answer(200, body=b"here")]) as receiver:
        reply = request("POST", receiver.url, headers={"X-Key": "k"}, body=b"body", redirects_max=1)
    assert reply.body == b"here"
    assert [(one.method, one.path, one.body) for one in receiver.received] == [
        ("POST", "/hook", b"body"),
        ("POST", "/next", b"body"),
    ]
    assert receiver.received[1].headers["x-key"] == "k"


def test_one_redirect_too_many_is_refused():
    with WebhookReceiver([Answer(302, {"Location": "/again"})] * 3) as receiver:
        assert refusal_of("GET", receiver.url, redirects_max=2) == "too_many_redirects"


def test_a_post_that_is_sent_elsewhere_to_look_becomes_a_get():
    with WebhookReceiver([Answer(303, {"Location": "/look"})]) as receiver:
        request("POST", receiver.url, headers={}, body=b"body", redirects_max=1)
    assert (receiver.received[1].method, receiver.received[1].body) == ("GET", b"")


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://10.0.0.1/", "address_not_allowed"),
        ("https://169.254.169.254/latest/meta-data/", "address_not_allowed"),
        ("https://[::ffff:10.0.0.1]/", "address_not_allowed"),
        ("//192.168.0.1/", "address_not_allowed"),
        ("https://user:password@example.com/", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("https://2852039166/", "bad_url"),
        ("https://[", "bad_url"),
    ],
)
def test_a_redirect_inside_is_refused(location, code):
    with WebhookReceiver([Answer(302, {"Location": location})]) as receiver:
        assert refusal_of("GET", receiver.url, redirects_max=3) == code


def test_a_redirect_to_a_name_that_points_inside_is_refused(names):
    names["inside.example.com"] = [["10.0.0.1"]]
    with WebhookReceiver([Answer(302, {"Location": "https://inside.example.com/"})]) as receiver:
        assert refusal_of("GET", receiver.url, redirects_max=3) == "address_not_allowed"


def test_another_server_is_not_told_the_secrets_of_the_first():
    with WebhookReceiver() as other:
        there = Answer(307, {"Location": other.url})
        with WebhookReceiver([there]) as receiver:
            headers = {"Authorization": "Bearer s", "X-Key": "s", "Content-Type": "application/json"}
            request("POST", receiver.url, headers=headers, body=b"{}", redirects_max=1)
    told = other.received[0].headers
    assert "authorization" not in told and "x-key" not in told
    assert told["content-type"] == "application/json"


# How long, and how much.


@pytest.mark.parametrize("act", [Act.SILENCE, Act.DRIP])
def test_an_answer_that_does_not_end_in_time_is_refused(act):
    with WebhookReceiver([act]) as receiver:
        assert refusal_of("GET", receiver.url, timeout_s=0.3, max_bytes=10_000_000) == "timed_out"


def test_a_name_server_that_keeps_silent_does_not_hold_us_up(monkeypatch):
    enough = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: enough.wait())
    try:
        assert refusal_of("GET", "https://slow.example.com/", timeout_s=0.2) == "timed_out"
    finally:
        enough.set()


@pytest.mark.parametrize("act", [Act.HUGE, Act.BOMB])
def test_an_answer_without_end_is_refused(act):
    with WebhookReceiver([act]) as receiver:
        assert refusal_of("GET", receiver.url, max_bytes=65_536) == "too_large"


def test_a_body_as_long_as_allowed_is_taken():
    with WebhookReceiver([Answer(body=b"x" * 1000)]) as receiver:
        assert len(request("GET", receiver.url, headers={}, max_bytes=1000).body) == 1000


def test_a_body_a_byte_longer_than_allowed_is_refused():
    with WebhookReceiver([Answer(body=b"x" * 1001)]) as receiver:
        assert refusal_of("GET", receiver.url, max_bytes=1000) == "too_large"


def test_gzip_that_was_not_asked_for_is_read():
    with WebhookReceiver([Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"hello"))]) as receiver:
        assert request("GET", receiver.url, headers={}).body == b"hello"
    assert receiver.received[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("act", [Act.DRIP, Act.HUGE, Act.BOMB])
def test_whoever_wants_the_status_only_does_not_wait_for_the_body(act):
    with WebhookReceiver([act]) as receiver:
        reply = request("POST", receiver.url, headers={}, reads_body=False)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("act", [Act.DROP, Act.GARBAGE])
def test_a_server_that_does_not_speak_http_is_unreachable(act):
    with WebhookReceiver([act]) as receiver:
        assert refusal_of("GET", receiver.url) == "unreachable"


def test_a_server_that_is_down_is_unreachable():
    with WebhookReceiver() as receiver:
        receiver.go_down()
        assert refusal_of("GET", receiver.url) == "unreachable"


# Certificates.


@pytest.fixture
def server_tls(tmp_path, monkeypatch):
    """A server certificate for desk.example.com, from an authority that this test's client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "desk.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("desk.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    no_password = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    client._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    yield context
    client._tls.cache_clear()


def test_the_certificate_is_that_of_the_name_not_of_the_address(server_tls, names):
    names["desk.example.com"] = [["127.0.0.1"]]
    with WebhookReceiver(tls=server_tls) as receiver:
        assert request("GET", f"https://desk.example.com:{receiver.port}/", headers={}).status == 200


def test_a_certificate_of_another_name_is_refused(server_tls, names):
    names["other.example.com"] = [["127.0.0.1"]]
    with WebhookReceiver(tls=server_tls) as receiver:
        assert refusal_of("GET", f"https://other.example.com:{receiver.port}/") == "unreachable"
    assert receiver.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(server_tls, names, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    client._tls.cache_clear()
    names["desk.example.com"] = [["127.0.0.1"]]
    with WebhookReceiver(tls=server_tls) as receiver:
        assert refusal_of("GET", f"https://desk.example.com:{receiver.port}/") == "unreachable"
