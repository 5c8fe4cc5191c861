"""The certificate of `./parley run --tls`: good for this machine's names, kept, and made anew in time."""

import datetime
import ssl
import stat

import pytest
from cryptography import x509

from config.certificate import CERTIFICATE, KEY, LASTS, ensure_certificate

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
NAMES = ["localhost", "127.0.0.1", "::1", "desk.example"]


def read(folder):
    return x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())


def test_it_names_every_host_and_address(tmp_path):
    ensure_certificate(tmp_path, NAMES, NOW)
    names = read(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "desk.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_server_can_use_it(tmp_path):
    ensure_certificate(tmp_path, NAMES, NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)


def test_nobody_else_may_read_the_key(tmp_path):
    ensure_certificate(tmp_path, NAMES, NOW)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600


def test_one_that_is_good_is_kept(tmp_path):
    assert ensure_certificate(tmp_path, NAMES, NOW)
    serial = read(tmp_path).serial_number
    assert not ensure_certificate(tmp_path, NAMES[:2], NOW + datetime.timedelta(days=300))
    assert read(tmp_path).serial_number == serial


@pytest.mark.parametrize(
    "names, later",
    [(NAMES, LASTS - datetime.timedelta(days=10)), ([*NAMES, "other.example"], datetime.timedelta())],
    ids=["soon over", "another name"],
)
def test_one_that_is_not_good_any_more_is_made_anew(tmp_path, names, later):
    ensure_certificate(tmp_path, NAMES, NOW)
    assert ensure_certificate(tmp_path, names, NOW + later)


def test_a_damaged_one_is_made_anew(tmp_path):
    ensure_certificate(tmp_path, NAMES, NOW)
    (tmp_path / KEY).write_text("no key")
    assert ensure_certificate(tmp_path, NAMES, NOW)
