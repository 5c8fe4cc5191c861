"""Who stands behind a bearer token: the holder of an API key, or of a client secret that one has made."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts import api_keys
from accounts.exceptions import KeyRefused
from accounts.models import ApiKey, Scope
from voice.admission.origins import normalised
from voice.admission.refusals import Refusal
from voice.models import ClientSecret

_MARK = "ek_"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Holder:
    """What a bearer token stands for, and within which limits. `client_secret_id` is None for an API key itself.

    `allowed_models` empty: every model. `credits_cap_micro` is what all calls of the secret may cost together, None
    without a cap. `session` is the GA session that a call opened with a client secret begins with.
    """

    organisation_id: UUID
    api_key_id: UUID
    scopes: frozenset[str]
    allowed_models: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    concurrent_calls: int | None = None
    client_secret_id: UUID | None = None
    credits_cap_micro: int | None = None
    max_duration_s: int | None = None
    session: Mapping[str, Any] = field(default_factory=dict)

    def require(self, scope: str) -> None:
        """Raises Refusal unless the holder may do this."""
        if scope not in self.scopes:
            needed = "an API key" if self.client_secret_id else f"the scope {scope}"
            raise Refusal("scope_missing", message=f"This needs {needed}.")

    def require_model(self, slug: str) -> None:
        """Raises Refusal unless the holder may ask for this model."""
        if self.allowed_models and slug not in self.allowed_models:
            allowed = ", ".join(self.allowed_models)
            raise Refusal("model_not_allowed", message=f"This key may not use {slug}. It may use: {allowed}.")


def authenticate_bearer(text: str, *, origin: str = "") -> Holder:
    """Return the holder of an API key or client secret. `origin` is the Origin header's, "" when there was none.

    Raises KeyRefused: invalid_api_key, api_key_revoked, api_key_expired, organisation_suspended, origin_not_allowed.
    """
    if len(text) > _LONGEST:
        raise KeyRefused("invalid_api_key")
    if text.startswith(_MARK):
        return _holder_of_secret(text, origin)
    return _holder_of_key(api_keys.authenticate(text))


def create_client_secret(
    holder: Holder,
    *,
    model: str,
    session: Mapping[str, Any],
    lifetime_s: int,
    credits_cap_micro: int | None = None,
    origins: Collection[str] = (),
    max_duration_s: int | None = None,
) -> tuple[ClientSecret, str]:
    """Make a client secret and return it with its text, which is stored nowhere. The values have been checked."""
    text = _MARK + secrets.token_urlsafe(32)
    now = timezone.now()
    secret = ClientSecret.objects.create(
        organisation_id=holder.organisation_id,
        api_key_id=holder.api_key_id,
        secret_hash=_hash(text),
        model_slug=model,
        session=dict(session),
        origins=[normalised(origin) for origin in origins],
        credits_cap_micro=credits_cap_micro,
        max_duration_s=max_duration_s,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime_s),
    )
    return secret, text


def end_client_secret(secret: ClientSecret) -> None:
    """Let no further call be opened with a secret; calls that run go on. A repeat changes nothing."""
    now = timezone.now()
    ClientSecret.objects.filter(pk=secret.pk, expires_at__gt=now).update(expires_at=now)


def _holder_of_key(key: ApiKey) -> Holder:
    return Holder(
        organisation_id=key.organisation_id,
        api_key_id=key.pk,
        scopes=frozenset(key.scopes),
        allowed_models=tuple(key.allowed_models),
        requests_per_minute=key.requests_per_minute,
        concurrent_calls=key.concurrent_calls,
    )


def _holder_of_secret(text: str, origin: str) -> Holder:
    rows = ClientSecret.objects.select_related("api_key__organisation")
    secret = rows.filter(secret_hash=_hash(text)).first()
    if secret is None:
        raise KeyRefused("invalid_api_key")
    if secret.expires_at <= timezone.now():
        raise KeyRefused("api_key_expired")
    api_keys.check_usable(secret.api_key)
    if secret.origins and normalised(origin) not in secret.origins:
        raise KeyRefused("origin_not_allowed")
    return Holder(
        organisation_id=secret.organisation_id,
        api_key_id=secret.api_key_id,
        # Whatever else its maker's key may do: what runs in a browser opens calls, and nothing else.
        scopes=frozenset({Scope.REALTIME.value}) & frozenset(secret.api_key.scopes),
        allowed_models=(secret.model_slug,),
        requests_per_minute=secret.api_key.requests_per_minute,
        concurrent_calls=secret.api_key.concurrent_calls,
        client_secret_id=secret.pk,
        credits_cap_micro=secret.credits_cap_micro,
        max_duration_s=secret.max_duration_s,
        session=secret.session,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
