"""What one e-mail address says about the person behind it: the same person, or nobody for long."""

from contextlib import suppress

from disposable_email_domains import blocklist
from django.utils.crypto import salted_hmac

# Where dots before the @ mean nothing, and two names of one provider.
_GMAIL = {"gmail.com", "googlemail.com"}


def person_key_of(email: str) -> str:
    """Return a keyed hash (hex) that is equal for every spelling of one person's address.

    Case, a plus-tag, and Gmail's dots are spelling. The address itself cannot be read back from it, so that it may
    outlive a deleted account.
    """
    local, domain = _parts_of(email)
    local = local.partition("+")[0] or local
    if domain in _GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    return salted_hmac("accounts.person", f"{local}@{domain}", algorithm="sha256").hexdigest()


def is_disposable(email: str) -> bool:
    """Say whether the address is at a known throw-away service, or anywhere below one."""
    labels = _parts_of(email)[1].split(".")
    return any(".".join(labels[start:]) in blocklist for start in range(len(labels) - 1))


def _parts_of(email: str) -> tuple[str, str]:
    local, _, domain = email.strip().casefold().rpartition("@")
    domain = domain.rstrip(".")
    # A domain in its own script and in punycode is one domain.
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return local, domain
