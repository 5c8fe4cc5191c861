"""Makes the certificate of `./parley run --tls`: signed by itself, for this machine's names, kept beside the data.

Runs in the virtual environment, which has the library for it: python -m config.certificate FOLDER NAME...
"""

import datetime
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# What browsers accept; made anew in time.
LASTS = datetime.timedelta(days=397)
RENEWED_BEFORE = datetime.timedelta(days=30)
CERTIFICATE, KEY = "certificate.pem", "key.pem"


def ensure_certificate(folder: Path, names: Sequence[str], now: datetime.datetime) -> bool:
    """Make a certificate for hosts and addresses unless the folder has a good one; return whether one was made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_good(folder, names, now):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / KEY, key_pem)
    _write(folder / CERTIFICATE, _certificate(key, names, now).public_bytes(serialization.Encoding.PEM))
    return True


def _certificate(key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Parley on {names[0]}"[:64])])
    public_key = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # A client whose clock is a little behind takes it all the same.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LASTS)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )


def _is_good(folder: Path, names: Sequence[str], now: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWED_BEFORE
    return (
        is_valid
        and {_general_name(each) for each in names} <= set(named)
        and key.public_key() == certificate.public_key()
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, contents: bytes) -> None:
    # Nobody else may read it, from the first byte on.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(contents)


if __name__ == "__main__":
    ensure_certificate(Path(sys.argv[1]), sys.argv[2:], datetime.datetime.now(datetime.UTC))
