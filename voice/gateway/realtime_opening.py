"""How a Realtime session begins: what the address asks for is checked, the session admitted, its terms read."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from voice.admission.admit_client import Asked, admit_client
from voice.admission.key_holders import Holder
from voice.admission.key_limits import count_request
from voice.catalogue.moments import once_a_moment
from voice.catalogue.on_offer import models_now, offers_now
from voice.catalogue.rates import cards_of
from voice.gateway.realtime_rules import MODEL_CHARS_MAX, RequestRefused, Terms, check_session
from voice.metering.settlement import settle_session
from voice.models import CatalogueModel, EndReason, Session, Source, TurnDetection
from voice.models.catalogue import ModelKind
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.programs.client_session import Bounds

_DEFAULT_VOICE = "marin"
# Providers end a session by themselves after this long.
_LONGEST_S = {"azure_openai": 1800}
_TRUNCATING = {"openai", "azure_openai"}
# Query members of OpenAI's that open something else than a conversation.
_OTHER_DOORS = {
    "intent": "Sessions that only transcribe are not offered here: open a conversation and set turn detection's "
    "create_response to false, or use /v1/audio/transcriptions.",
    "call_id": "There are no calls to join here: open a conversation of your own.",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has begun: `wanted` is the GA session it begins with, `bounds` and `terms` what it is held to."""

    call: Call
    terms: Terms
    bounds: Bounds
    wanted: Mapping[str, Any]


def open_session(holder: Holder, query: Mapping[str, str], model: str, client_ip: str) -> Opened:
    """Admit a session and begin it. Raises Refusal (admission), or RequestRefused for what the address asks for."""
    _check_query(query)
    count_request(holder)
    asked = Asked(
        agent=query.get("agent", ""),
        language=query.get("language", "")[:10],
        voice=query.get("voice", ""),
        turn_detection=query.get("turn_detection", ""),
    )
    session = admit_client(holder, model=model, client_ip=client_ip, source=Source.REALTIME, asked=asked)
    try:
        return _begin(session, holder.session)
    except BaseException:
        give_back(session.id)
        raise


def give_back(session_id: UUID) -> None:
    """End a session in which nothing happened."""
    settle_session(session_id)
    records.end(session_id, EndReason.PROTOCOL_ERROR)


def _check_query(query: Mapping[str, str]) -> None:
    for name, message in _OTHER_DOORS.items():
        if query.get(name):
            raise RequestRefused("invalid_value", message, name)
    turn_detection = query.get("turn_detection")
    if turn_detection and turn_detection not in TurnDetection.values:
        allowed = ", ".join(TurnDetection.values)
        raise RequestRefused("invalid_value", f"turn_detection must be one of: {allowed}.", "turn_detection")
    if (voice := query.get("voice")) and voice not in (voices := _every_voice()):
        raise RequestRefused("invalid_value", f"voice must be one of: {', '.join(voices)}.", "voice")


def _begin(session: Session, held_session: Mapping[str, Any]) -> Opened:
    offers, models = offers_now(session.organisation_id), models_now()
    asked, served = (offers.of(models[slug]) for slug in (session.model_asked, session.model_served))
    call = records.begin(session.id)
    most = min(asked.max_output_tokens, served.max_output_tokens)
    longest_s = min(call.max_duration_s, _LONGEST_S.get(served.adapter, call.max_duration_s))
    transcriptions = _transcription_models(served, session.organisation_id, offers.today)
    terms = _terms(asked, served, tuple(transcriptions), most)
    bounds = Bounds(
        model=asked.slug,
        context_tokens=terms.context_tokens,
        max_output_tokens=most,
        expires_at=int(time.time()) + longest_s,
        # A pipeline's chat model is told not to think, whatever a session says.
        reasons=served.is_reasoning and served.adapter in _TRUNCATING,
        truncates=served.adapter in _TRUNCATING,
        # Elsewhere the upstream's own model writes down what is said, whichever was named.
        transcription_slugs=transcriptions if served.adapter in _TRUNCATING else {},
    )
    wanted = _merged(_own_session(session, call, terms), held_session)
    check_session(wanted, terms)
    return Opened(replace(call, max_output_tokens=most, max_duration_s=longest_s), terms, bounds, wanted)


def _terms(asked: CatalogueModel, served: CatalogueModel, transcriptions: tuple[str, ...], most: int) -> Terms:
    voices = asked.voices or served.voices or _every_voice()
    if served.voices:
        # One that the serving model does not know would make it refuse the whole session.
        voices = [voice for voice in voices if voice in served.voices] or served.voices
    return Terms(
        model=asked.slug,
        served=served.slug,
        models=tuple(_shared(model.slug) for model in _models_of_kind(ModelKind.REALTIME)),
        voices=tuple(map(_shared, voices)),
        transcription_models=transcriptions,
        is_reasoning=asked.is_reasoning,
        max_output_tokens=asked.max_output_tokens,
        sees_images=asked.sees_images and served.sees_images,
        context_tokens=min(asked.context_tokens, served.context_tokens),
        output_tokens_cap=most,
    )


def _own_session(session: Session, call: Call, terms: Terms) -> dict[str, Any]:
    """Return the GA session that the key's holder asked for in other words: by the address, or by naming an agent."""
    voice = session.voice or (session.agent.voice if session.agent else _DEFAULT_VOICE)
    kind = "semantic_vad" if session.turn_detection == TurnDetection.REALTIME_LLM else "server_vad"
    words = [call.instructions, f"Greeting: {call.greeting}" if call.greeting else ""]
    return {
        "instructions": "\n\n".join(filter(None, words)),
        "audio": {
            "input": {"turn_detection": {"type": kind}},
            "output": {"voice": voice if voice in terms.voices else terms.voices[0]},
        },
    }


def _merged(own: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(own)
    for name, value in more.items():
        # Turn detection is one thing: its members depend on its type.
        is_nested = isinstance(value, dict) and isinstance(own.get(name), dict) and name != "turn_detection"
        merged[name] = _merged(own[name], value) if is_nested else value
    return merged


@once_a_moment
def _transcription_models(served: CatalogueModel, organisation_id: UUID, today: date) -> Mapping[str, str]:
    """Return the models that may write down what is said, by their provider's name: on offer, and with a price."""
    offers, found = offers_now(organisation_id, today), []
    for model in _models_of_kind(ModelKind.TRANSCRIPTION):
        # What stands in for another model is no provider's.
        is_known = not model.rated_as_slug or model.slug == served.transcription_slug
        # Another provider's ears cannot be had beside this one's model.
        is_known = is_known and model.provider_id in (None, served.provider_id)
        if is_known and not offers.why_not(model):
            found.append(model)
    priced = cards_of([model.slug for model in found], today)
    names = {model.slug: model.provider_model[:MODEL_CHARS_MAX] for model in found if model.slug in priced}
    return {_shared(name): _shared(slug) for slug, name in names.items()}


def _shared(name: object) -> str:
    """Return one and the same string for all sessions: each keeps every name of the catalogue that it may use."""
    return sys.intern(str(name))


def _every_voice() -> list[str]:
    return sorted({str(voice) for model in _models_of_kind(ModelKind.REALTIME) for voice in model.voices})


def _models_of_kind(kind: ModelKind) -> list[CatalogueModel]:
    return [model for model in models_now().values() if model.kind == kind]
