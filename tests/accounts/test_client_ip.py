from types import SimpleNamespace

import pytest

from accounts.client_ip import UNKNOWN, client_ip_of, is_loopback


def request_from(peer, forwarded=None):
    meta = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return SimpleNamespace(META=meta)


@pytest.fixture
def behind_proxies(settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]


def test_the_peer_is_the_client_when_no_proxy_is_trusted():
    assert client_ip_of(request_from("198.51.100.7", "203.0.113.9")) == "198.51.100.7"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0, fd00::2", "fe80::1"),
        ("10.9.9.9", "10.9.9.9"),
        ("<script>", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("<script>, 10.1.2.3", "10.1.2.3"),
        (",,,", "127.0.0.1"),
    ],
)
def test_behind_trusted_proxies_the_rightmost_untrusted_hop_is_the_client(behind_proxies, forwarded, client):
    assert client_ip_of(request_from("127.0.0.1", forwarded)) == client


def test_an_untrusted_peer_cannot_choose_its_address(behind_proxies):
    assert client_ip_of(request_from("198.51.100.7", "10.0.0.1")) == "198.51.100.7"


@pytest.mark.parametrize("peer", [None, "", "/run/socket", "unix:"])
def test_a_peer_without_an_address_is_unknown(behind_proxies, peer):
    assert client_ip_of(request_from(peer, "203.0.113.9")) == UNKNOWN


def test_a_header_of_a_thousand_hops_is_read_from_its_end(behind_proxies):
    assert client_ip_of(request_from("127.0.0.1", "6.6.6.6," * 1000 + "203.0.113.9")) == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "answer"),
    [("127.0.0.1", None, True), ("::1", None, True), ("127.0.0.1", "127.0.0.1", False), ("10.0.0.1", None, False)],
)
def test_loopback_means_this_machine_and_no_proxy(peer, forwarded, answer):
    assert is_loopback(request_from(peer, forwarded)) is answer
