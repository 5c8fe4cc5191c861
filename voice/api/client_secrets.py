"""POST realtime/client_secrets: a secret of ours for a customer's browser, in the shape of OpenAI's."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router

from accounts.models import Organisation
from billing.ledger import MICRO
from voice.admission.key_holders import create_client_secret
from voice.admission.origins import normalised
from voice.admission.refusals import Refusal
from voice.api.answers import IDEMPOTENT, WITH_BODY, answers
from voice.api.callers import ApiKey, holder_of
from voice.api.errors import InvalidRequest
from voice.api.schemas import ClientSecretOut, ClientSecretWanted
from voice.catalogue.on_offer import ModelNotOffered, resolve_model
from voice.catalogue.seed_data import REALTIME_VOICES

router = Router(tags=["Calls"])

_MAX_SESSION_BYTES = 32 * 1024


@router.post(
    "v1/realtime/client_secrets",
    url_name="client_secrets",
    operation_id="create_client_secret",
    summary="Make a client secret",
    auth=ApiKey(),
    response=answers({200: ClientSecretOut}, 403, 404, *WITH_BODY),
    openapi_extra=IDEMPOTENT,
)
def create(request: HttpRequest, wanted: ClientSecretWanted) -> ClientSecretOut:
    """A secret (`ek_…`) that opens calls on `/v1/realtime` from a browser, for a while and for one model.

    It falls with the key that made it. Calls that run when it expires go on.
    """
    holder = holder_of(request)
    holder.require("realtime")
    if holder.client_secret_id is not None:
        raise Refusal("scope_missing", message="This needs an API key, not another client secret.")
    session = _checked_session(wanted.session)
    slug = session.setdefault("model", settings.DEFAULT_REALTIME_MODEL)
    holder.require_model(slug)
    try:
        resolve_model(slug, Organisation.objects.get(id=holder.organisation_id))
    except ModelNotOffered as error:
        raise Refusal("model_not_found" if error.code == "model_unknown" else error.code) from None
    secret, text = create_client_secret(
        holder,
        model=slug,
        session=session,
        lifetime_s=wanted.expires_after.seconds,
        credits_cap_micro=wanted.max_credits and wanted.max_credits * MICRO,
        origins=_checked_origins(wanted.origins),
        max_duration_s=wanted.max_duration_seconds,
    )
    shown = {**session, "id": f"sess_{secret.id.hex}", "object": "realtime.session"}
    return ClientSecretOut(value=text, expires_at=int(secret.expires_at.timestamp()), session=shown)


def _checked_session(session: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(session)) > _MAX_SESSION_BYTES:
        raise InvalidRequest("session: is too large.", param="session")
    if session.get("type", "realtime") != "realtime":
        raise InvalidRequest("session.type: only realtime.", param="session.type")
    if not isinstance(session.get("model", ""), str) or not isinstance(session.get("instructions", ""), str):
        raise InvalidRequest("session: model and instructions are text.", param="session")
    voice = _member(_member(_member(session, "audio"), "output"), "voice", "marin")
    if voice not in REALTIME_VOICES:
        allowed = ", ".join(REALTIME_VOICES)
        raise InvalidRequest(
            f"session.audio.output.voice: choose one of: {allowed}.", param="session.audio.output.voice"
        )
    return {"type": "realtime", **session}


def _member(parent: Any, name: str, default: Any = None) -> Any:
    return parent.get(name, default) if isinstance(parent, dict) else default


def _checked_origins(origins: list[str]) -> list[str]:
    for origin in origins:
        if not normalised(origin):
            raise InvalidRequest("origins: each is like https://example.com.", param="origins")
    return origins
