"""Only public addresses are dialled, in whatever notation or embedding the others come."""

from ipaddress import ip_address

import pytest

from voice.outgoing import Refused, check_url
from voice.outgoing.addresses import is_public

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_internet_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ip_address(address))


@pytest.fixture(autouse=True)
def nothing_private(settings):
    settings.OUTGOING_ALLOW_PRIVATE = False


def refusal_of(url):
    with pytest.raises(Refused) as refused:
        check_url(url)
    return refused.value.code


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/a?b=c", "https://bücher.example/x"])
def test_an_ordinary_address_is_taken(url):
    check_url(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]"]
)
def test_a_private_address_is_refused(host):
    assert refusal_of(f"https://{host}/") == "address_not_allowed"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "0x7f.1",
        "1.2.3.0x",
        "[::1%25eth0]",
        "a..b",
        "exa_mple.com-",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
    ],
)
def test_a_host_in_a_notation_that_hides_a_number_is_refused(host):
    assert refusal_of(f"https://{host}/") in ("bad_url", "address_not_allowed")


@pytest.mark.parametrize("url", ["http://example.com/", "HTTP://example.com/"])
def test_http_is_refused(url):
    assert refusal_of(url) == "not_https"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://@example.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com:port/",
        "https://example.com/\r\nHost: inside",
        "https://example.com/a b",
        "https://example.com\\@inside/",
        "https://exam\tple.com/",
        "https://" + "a" * 2000 + ".com/",
        "https://" + "a" * 300 + ".com/",
    ],
)
def test_what_is_no_address_is_refused(url):
    assert refusal_of(url) == "bad_url"
