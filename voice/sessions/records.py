"""What the database keeps of a conversation: that it is live, how it ended, its turns, and words where agreed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone

from voice.admission import networks
from voice.catalogue.moments import once_a_moment
from voice.catalogue.on_offer import IsDoubted, house_of, models_now, offers_now, reason_for, stand_ins_for
from voice.catalogue.rates import RateMissing, prices_of_session
from voice.models import (
    Agent,
    CatalogueModel,
    EndReason,
    Outcome,
    RungKind,
    Session,
    SessionState,
    Switches,
    Turn,
    TurnDetection,
)
from voice.models.catalogue import ModelKind
from voice.sessions.call import Call, CollectedField
from voice.sessions.connect import endpoint_of
from voice.sessions.fallback.rungs import RungRow, save_rungs
from voice.sessions.tools import BUILT_IN
from voice.sessions.turns import TurnTimes
from voice.tools.keeping import tools_offered
from voice.transcripts import store
from voice.transcripts.consent import records_words
from voice.transcripts.recorder import TurnText
from voice.webhooks import session_events

# Without an agent to say how long: time enough to think, not to forget the call.
_SILENCE_S = 30
_PIPELINES = {"pipeline", "sarvam"}


class SessionNotOpen(Exception):
    """The session is not waiting to begin: it has ended, or its agent or its model is gone."""


def begin(session_id: UUID) -> Call:
    """Mark an admitted session live and return all that its conversation needs; raise SessionNotOpen."""
    with transaction.atomic():
        sessions = Session.objects.select_for_update(of=("self",)).select_related("agent", "api_key")
        session = sessions.get(pk=session_id)
        if session.state != SessionState.ADMITTED or not can_be_held(session):
            raise SessionNotOpen
        now = timezone.now()
        session.state, session.started_at, session.seen_at = SessionState.LIVE, now, now
        session.save(update_fields=["state", "started_at", "seen_at"])
        session_events.emit_started(session)
        return call_of(session)


def still_live(client_ips: Mapping[UUID, str]) -> dict[UUID, EndReason]:
    """Say that the process of these sessions lives; return those that must end and why, if somebody decided so.

    `client_ips` are the sessions' addresses ("" where unknown), by session. Four statements, however many there are.
    """
    sessions = Session.objects.filter(pk__in=client_ips)
    sessions.filter(state=SessionState.LIVE, hang_up_wanted=False).update(seen_at=timezone.now())
    reasons = dict.fromkeys(networks.blocked_among(client_ips), EndReason.NETWORK_BLOCKED)
    if Switches.objects.filter(pk=1, calls_paused=True).exists():
        reasons = dict.fromkeys(client_ips, EndReason.PAUSED)
    return reasons | _decided_alone(sessions)


def taken_over(generations: Mapping[UUID, int]) -> set[UUID]:
    """Return those of these sessions that another process has taken over since, given which turn with them is ours."""
    found = Session.objects.filter(pk__in=generations).values_list("pk", "generation")
    return {session_id for session_id, generation in found if generation > generations[session_id]}


def claim_end(call: Call) -> bool:
    """See to it that no other process takes a call over that is ending; False where one already has."""
    ours = Session.objects.filter(pk=call.session_id, generation=call.generation)
    return bool(ours.update(hang_up_wanted=True))


@transaction.atomic
def let_go(call: Call, turns: Iterable[TurnTimes], words: Sequence[TurnText]) -> None:
    """Leave a live call to whichever process its caller comes back to, and else to the sweep; a repeat is harmless.

    What may be kept of it is written down, for nobody may come. Nothing is done to a call that was taken over already.
    """
    ours = Session.objects.filter(pk=call.session_id, generation=call.generation, state=SessionState.LIVE)
    session = ours.select_for_update(of=("self",)).first()
    if session is None:
        return
    session.seen_at, session.hang_up_reason = timezone.now(), EndReason.SHUTTING_DOWN
    session.away_since = session.away_since or session.seen_at
    session.save(update_fields=["seen_at", "away_since", "hang_up_reason"])
    save_turns(session, turns)
    store.save(session, words)


def _decided_alone(sessions: QuerySet[Session]) -> dict[UUID, EndReason]:
    """Return those that somebody decided to end without ending all others, and why; the strongest reason counts."""
    reason = Case(
        When(Q(hang_up_wanted=True) & ~Q(hang_up_reason=""), then=F("hang_up_reason")),
        When(Q(state=SessionState.ENDED) | Q(hang_up_wanted=True), then=Value(EndReason.OPERATOR_ENDED)),
        When(organisation__suspended_at__isnull=False, then=Value(EndReason.ORGANISATION_SUSPENDED)),
        When(api_key__revoked_at__isnull=False, then=Value(EndReason.API_KEY_REVOKED)),
    )
    found = sessions.annotate(reason=reason).exclude(reason=None).values_list("pk", "reason")
    return {session_id: EndReason(reason) for session_id, reason in found}


def end(
    session_id: UUID,
    reason: EndReason,
    *,
    duration_ms: int = 0,
    task_completed: str = "",
    was_answered: bool = False,
    turns: Iterable[TurnTimes] = (),
    words: Sequence[TurnText] = (),
    rungs: Sequence[RungRow] = (),
) -> Outcome:
    """Write how a session ended, once: a repeat changes nothing. Its money is settled apart (metering)."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session_id)
        if session.state == SessionState.ENDED:
            return Outcome(session.outcome or Outcome.CUT)
        session.state, session.ended_at = SessionState.ENDED, timezone.now()
        session.end_reason, session.duration_ms = reason, duration_ms
        session.task_completed = task_completed
        has_task = bool(session.agent and session.agent.task_name)
        outcome = outcome_of(reason, has_task=has_task, task_completed=bool(task_completed), was_answered=was_answered)
        session.outcome = outcome
        session.save(update_fields=["state", "ended_at", "end_reason", "duration_ms", "task_completed", "outcome"])
        save_turns(session, turns)
        save_rungs(session.id, rungs)
        store.save(session, words)
        store.announce_end(session.id)
        session_events.emit_ended(session)
    return outcome


def save_turns(session: Session, turns: Iterable[TurnTimes]) -> None:
    """Write down the turns of a call, over what is there of them (more of them than there were, or as many)."""
    Turn.objects.bulk_create(
        [_turn_row(session, index, turn) for index, turn in enumerate(turns)],
        update_conflicts=True,
        unique_fields=["session", "index"],
        update_fields=["speaker", "item_id", "started_ms", "ended_ms", "latency_ms", "heard_ms", "interrupted"],
    )


_PEOPLE_ENDED_IT = {
    EndReason.CALLER_HUNG_UP,
    EndReason.CALLER_DISCONNECTED,
    EndReason.AGENT_HUNG_UP,
    EndReason.SILENCE,
}


def outcome_of(reason: EndReason, *, has_task: bool, task_completed: bool, was_answered: bool) -> Outcome:
    """Say what became of a call. An agent without a task has done its work when the caller got an answer."""
    if task_completed:
        return Outcome.COMPLETED
    if reason not in _PEOPLE_ENDED_IT:
        return Outcome.CUT
    return Outcome.COMPLETED if was_answered and not has_task else Outcome.GIVEN_UP


def _turn_row(session: Session, index: int, turn: TurnTimes) -> Turn:
    return Turn(
        session=session,
        index=index,
        speaker=turn.speaker,
        item_id=turn.item_id[:80],
        started_ms=turn.started_ms,
        ended_ms=turn.ended_ms,
        latency_ms=turn.latency_ms,
        heard_ms=turn.heard_ms,
        interrupted=turn.interrupted,
    )


def can_be_held(session: Session) -> bool:
    """Say whether anybody answers: the call's agent, or the customer's own words; and nobody has revoked its key."""
    if session.api_key and session.api_key.revoked_at:
        return False
    return session.agent is not None or bool(session.system_prompt)


def call_of(session: Session) -> Call:
    """Return all that a session's conversation needs; raise SessionNotOpen when its model is gone."""
    # What the customer's code asked for counts before the agent's own, and there may be no agent at all.
    agent = session.agent or Agent(name="Assistant", silence_timeout_s=_SILENCE_S)
    model = models_now().get(session.model_served)
    if model is None:
        raise SessionNotOpen
    model = offers_now(session.organisation_id).of(model)
    call = Call(
        session_id=session.id,
        organisation_id=session.organisation_id,
        client_ip=session.client_ip or "",
        is_voice=session.is_voice,
        agent_name=agent.name,
        instructions=session.system_prompt or agent.instructions,
        greeting=agent.greeting,
        language=session.language,
        task_name=agent.task_name,
        collects=tuple(CollectedField(field["name"], field.get("description", "")) for field in agent.collects),
        shows_prices=agent.shows_prices,
        model_asked=session.model_asked,
        model_served=session.model_served,
        endpoint=endpoint_of(model, agent, session),
        transcription_model="",
        transcription_slug="",
        max_output_tokens=agent.max_output_tokens,
        max_duration_s=session.max_duration_s or agent.max_duration_s,
        silence_timeout_s=agent.silence_timeout_s,
        turn_detection=session.turn_detection or TurnDetection.SERVER_VAD,
        history=agent.history,
        captions=agent.captions,
        records_words=records_words(session),
        tools=tools_offered(session.agent, taken=BUILT_IN | {agent.task_name}) if session.agent else (),
        model_reason=session.model_reason,
        generation=session.generation,
    )
    return _held_by(call, model, session, agent)


def call_after(
    call: Call, left: Collection[str], is_doubted: IsDoubted = lambda house: False, *, is_written_to: bool = False
) -> Call | None:
    """Return the call as the next model would hold it that was not `left` yet; None when there is none.

    A call that is talked in goes on in writing when no voice is left; `is_written_to`: only such models will do.
    Those of providers that are doubted, by their house, are the last of their kind.
    """
    session = Session.objects.select_related("agent").get(pk=call.session_id)
    stand_ins = stand_ins_for(call.model_asked, call.organisation_id)
    if stand_ins is None:
        return None
    for model in stand_ins.after(left, is_doubted):
        if is_written_to and model.kind != ModelKind.CHAT:
            continue
        try:
            prices_of_session(session, model, is_voice=call.is_voice)
        except RateMissing:
            # Whatever it can do, nobody could be billed for it.
            continue
        agent = session.agent or Agent(name="Assistant", silence_timeout_s=_SILENCE_S)
        # What is known of the model that was asked for, or else that this call has met it.
        unknown = "cannot be talked to now" if model.kind == ModelKind.CHAT else "is not answering"
        reason = reason_for(stand_ins.asked, model, stand_ins.why_not or unknown)
        call = replace(call, model_reason=reason, max_output_tokens=agent.max_output_tokens)
        return _held_by(call, model, session, agent)
    return None


def _held_by(call: Call, model: CatalogueModel, session: Session, agent: Agent) -> Call:
    """Return the call as a model would hold it."""
    is_text = model.kind == ModelKind.CHAT
    transcription = None
    if session.transcribes_input and not is_text:
        transcription = _transcription_now(model, timezone.localdate(session.created_at), session.organisation_id)
    return replace(
        call,
        is_voice=call.is_voice and not is_text,
        model_served=model.slug,
        rung_kind=_rung_kind_of(model),
        house=house_of(model),
        endpoint=endpoint_of(model, agent, session),
        transcription_model=transcription.provider_model if transcription else "",
        transcription_slug=transcription.slug if transcription else "",
        max_output_tokens=min(call.max_output_tokens, model.max_output_tokens),
    )


@once_a_moment
def _transcription_now(model: CatalogueModel, day: date, organisation_id: UUID) -> CatalogueModel | None:
    return offers_now(organisation_id, day).transcription_of(model)


def _rung_kind_of(model: CatalogueModel) -> RungKind:
    if model.kind == ModelKind.CHAT:
        return RungKind.TEXT
    return RungKind.PIPELINE if model.adapter in _PIPELINES else RungKind.REALTIME
