"""API keys: made and shown once, recognised by their hash, limited, revoked at once."""

import hashlib
import re
import secrets
import string
from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.exceptions import InvalidKeySetting, KeyRefused
from accounts.models import ApiKey, Organisation, Scope, User
from accounts.signals import api_key_revoked

log = structlog.get_logger(__name__)

MOST_KEYS = 100
MOST_MODELS = 50
MOST_A_MINUTE = 100_000
MOST_CALLS = 10_000
# A billion credits, as the ledger's own bound.
MAX_BUDGET_MICRO = 10**15
_LONGEST_NAME = 80
_LONGEST_MODEL = 80
_MARK = "sk_parley_"
_PREFIX_CHARS = 8
_SECRET_CHARS = 43  # of 62: 256 bits
_LETTERS = string.ascii_letters + string.digits
_KEY = re.compile(rf"{_MARK}([a-z0-9]{{{_PREFIX_CHARS}}})_([A-Za-z0-9]{{{_SECRET_CHARS}}})")
# When it was last used is written at most this often: a busy key must not write a row for every request.
_USED_EVERY = timedelta(minutes=1)


def create_key(
    organisation: Organisation,
    *,
    name: str,
    scopes: Collection[str] = tuple(Scope.values),
    allowed_models: Collection[str] = (),
    monthly_budget_micro: int | None = None,
    requests_per_minute: int | None = None,
    concurrent_calls: int | None = None,
    expires_at: datetime | None = None,
    by: User | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which is stored nowhere. Raises InvalidKeySetting.

    No `allowed_models` allows every model; a limit that is None is the installation's own, or none.
    """
    key = ApiKey(
        organisation=organisation,
        name=_checked_name(name),
        scopes=_checked_scopes(scopes),
        allowed_models=_checked_models(allowed_models),
        monthly_budget_micro=_between("monthly_budget", monthly_budget_micro, 0, MAX_BUDGET_MICRO),
        requests_per_minute=_between("requests_per_minute", requests_per_minute, 1, MOST_A_MINUTE),
        concurrent_calls=_between("concurrent_calls", concurrent_calls, 1, MOST_CALLS),
        expires_at=_checked_expiry(expires_at),
        created_by=by,
    )
    prefix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_PREFIX_CHARS))
    text = f"{_MARK}{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(_SECRET_CHARS))}"
    key.prefix, key.secret_hash = f"{_MARK}{prefix}", _hash(text)
    with transaction.atomic():
        Organisation.objects.select_for_update().get(pk=organisation.pk)
        if organisation.api_keys.filter(revoked_at=None).count() >= MOST_KEYS:
            raise InvalidKeySetting("name", f"There are {MOST_KEYS} keys already. Revoke one first.")
        key.save(force_insert=True)
    log.info("api key created", organisation_id=str(organisation.pk), prefix=key.prefix)
    return key, text


def authenticate(text: str) -> ApiKey:
    """Return the key with this text, its organisation read with it.

    Raises KeyRefused: invalid_api_key, api_key_revoked, api_key_expired or organisation_suspended.
    """
    parts = _KEY.fullmatch(text)
    key = parts and ApiKey.objects.select_related("organisation").filter(prefix=f"{_MARK}{parts[1]}").first()
    if not key or not constant_time_compare(key.secret_hash, _hash(text)):
        raise KeyRefused("invalid_api_key")
    check_usable(key)
    _note_use(key)
    return key


def check_usable(key: ApiKey) -> None:
    """Raises KeyRefused, as `authenticate` does, when a key that exists may not be used now."""
    if key.revoked_at is not None:
        raise KeyRefused("api_key_revoked")
    if key.is_expired:
        raise KeyRefused("api_key_expired")
    if not key.organisation.is_active:
        raise KeyRefused("organisation_suspended")


def revoke_key(key: ApiKey) -> None:
    """Make a key useless for good and end its live calls. A repeat changes nothing."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return
        key.refresh_from_db(fields=["revoked_at"])
        log.info("api key revoked", organisation_id=str(key.organisation_id), prefix=key.prefix)
        api_key_revoked.send(sender=ApiKey, api_key_id=key.pk)


def key_with_prefix(prefix: str) -> ApiKey | None:
    """Return the key whose visible part this is, with or without the mark that all keys begin with."""
    whole = prefix if prefix.startswith(_MARK) else f"{_MARK}{prefix}"
    return ApiKey.objects.select_related("organisation").filter(prefix=whole[: len(_MARK) + _PREFIX_CHARS]).first()


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at <= now - _USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - _USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
        key.last_used_at = now


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidKeySetting("name", f"A name is one line of 1 to {_LONGEST_NAME} characters.")
    return name


def _checked_scopes(scopes: Collection[str]) -> list[str]:
    if not scopes or not set(scopes) <= set(Scope.values):
        raise InvalidKeySetting("scopes", f"Choose at least one of: {', '.join(Scope.values)}.")
    return [scope for scope in Scope.values if scope in scopes]


def _checked_models(slugs: Collection[str]) -> list[str]:
    unique = list(dict.fromkeys(slug.strip() for slug in slugs if slug.strip()))
    if len(unique) > MOST_MODELS or any(len(slug) > _LONGEST_MODEL or not slug.isprintable() for slug in unique):
        raise InvalidKeySetting("allowed_models", f"At most {MOST_MODELS} names of models.")
    return unique


def _between(field: str, value: int | None, least: int, most: int) -> int | None:
    if value is not None and not least <= value <= most:
        raise InvalidKeySetting(field, f"From {least} to {most}, or empty.")
    return value


def _checked_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidKeySetting("expires_at", "A time that has passed: such a key could never be used.")
    return expires_at


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
