"""Write the note of a conversation: asked for with the end of the call, written by a worker, stored and charged once.

A worker may die between any two steps, and its message is then taken up again. What was only asked of the provider is
asked anew: the operator then pays the provider twice. The note, its charge, its deliveries and the news of it are one
transaction, so the customer has one of each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.exceptions import InsufficientCredits
from outbox import messages as outbox
from voice.catalogue.rate_card import RateMissing
from voice.metering.rating import Rating
from voice.models import Note, NoteReason, NoteState, NoteWriter, Session
from voice.notes import payment
from voice.notes.chat import Completion, ModelGone, NeverAnswered, NotAnswered, complete, content_of
from voice.notes.deliver import put_deliveries
from voice.notes.material import Material
from voice.notes.prompt import cut, request_body, tokens_asked
from voice.notes.reading import note_of
from voice.notes.schema import BadAnswer, content_of_fields, read_answer
from voice.notes.signals import note_ready
from voice.notes.writers import Writer, tell_breaker, writers

__all__ = ["give_up", "note_of", "request_note", "write_again", "write_note"]

log = structlog.get_logger(__name__)

WRITE_NOTE = "write_note"
KEEP_TRYING = timedelta(days=1)
# A bad answer is asked for again once.
ANSWERS_MAX = 2
# What the assistant collected, a booking, does not wait longer than this for a summary to go with it.
_FIELDS_WAIT = timedelta(hours=1)
_FIRST_PAUSE_S = 30
_LONGEST_PAUSE_S = 3600
# The task, the schema and the answer have to fit beside the conversation.
_TOKENS_BESIDE = 12_000

Read = Callable[[UUID], Material]


class _NotYet(Exception):
    """No note now, perhaps later."""

    def __init__(self, reason: NoteReason, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class _Never(Exception):
    def __init__(self, reason: NoteReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Job:
    """One try at a note: what it is made of and asked for."""

    note: Note
    material: Material
    fields: Mapping[str, str]
    agent_name: str
    on: date


def request_note(session_id: UUID) -> None:
    """Have the session's note written; in the caller's transaction. A repeat changes nothing."""
    session = Session.objects.only("organisation_id").get(pk=session_id)
    note, is_new = Note.objects.get_or_create(
        session_id=session_id, defaults={"organisation_id": session.organisation_id}
    )
    if is_new:
        outbox.put(WRITE_NOTE, f"{WRITE_NOTE}:{note.pk}:0", {"note_id": str(note.pk)})


def write_again(note: Note) -> bool:
    """Give a note that failed another day; True when it was one. Its answers so far stay counted as cost."""
    with transaction.atomic():
        failed = Note.objects.filter(pk=note.pk, state=NoteState.FAILED)
        if not failed.update(state=NoteState.WAITING, finished_at=None, answers=0):
            return False
        tries = Note.objects.values_list("tries", flat=True).get(pk=note.pk)
        outbox.put(WRITE_NOTE, f"{WRITE_NOTE}:{note.pk}:{tries}", {"note_id": str(note.pk)})
    return True


def write_note(note_id: UUID, read: Read) -> None:
    """Write the note now from what `read(session_id)` still finds. Raises outbox.Postpone when it is too early."""
    note = _take(note_id)
    if note is None:
        return
    material = read(note.session_id)
    if not material.turns:
        _finish_without_model(note_id, material, NoteReason.NO_CONSENT)
        return
    if not any(said.speaker == "caller" for said in material.turns):
        _finish_without_model(note_id, material, NoteReason.NOTHING_SAID)
        return
    try:
        _write(_job(note, material))
    except _Never as never:
        _finish_without_model(note_id, material, never.reason)
    except _NotYet as trouble:
        _wait(note, material, trouble)


def give_up(note_id: UUID, read: Read) -> None:
    """End a note that could not be written for a day; in the transaction that gives its message up."""
    note = Note.objects.get(pk=note_id)
    _finish_without_model(note_id, read(note.session_id), NoteReason(note.reason or NoteReason.PROVIDER_FAILED))


def _take(note_id: UUID) -> Note | None:
    with transaction.atomic():
        note = Note.objects.select_for_update().filter(pk=note_id, state=NoteState.WAITING).first()
        if note is None:
            return None
        note.tries += 1
        note.save(update_fields=["tries"])
    return note


def _job(note: Note, material: Material) -> _Job:
    session = Session.objects.select_related("agent").get(pk=note.session_id)
    agent = session.agent
    asked = {str(field["name"]): str(field.get("description", "")) for field in agent.collects} if agent else {}
    # A task that every assistant has, such as a call back, collects fields that the agent does not name.
    fields = asked | {name: asked.get(name, "") for name in material.collected}
    began_at = session.started_at or session.created_at
    return _Job(note, material, fields, agent.name if agent else "", timezone.localdate(began_at))


def _write(job: _Job) -> None:
    """Ask the models in their order until one answers, twice if its answer is bad. Raises _NotYet, _Never."""
    problem = ""
    for writer in writers(timezone.localdate(), job.note.organisation_id):
        try:
            while job.note.answers < ANSWERS_MAX:
                bad = _ask(job, writer, problem)
                if bad is None:
                    return
                problem = bad.label
            raise _Never(NoteReason(job.note.reason))
        except ModelGone:
            log.error("note_model_unknown_to_provider", model=writer.model.slug)
    raise _NotYet(NoteReason.NO_MODEL)


def _ask(job: _Job, writer: Writer, problem: str) -> NoteReason | None:
    """Ask once and store the answer: as the note (None), or as a bad one (why)."""
    body, left_out = _body(job, writer, problem)
    _hold(job.note, writer, tokens_in=tokens_asked(body))
    try:
        completion = _complete(job, writer, body)
    except ModelGone:
        raise
    except NeverAnswered as refusal:
        raise _Never(refusal.reason) from None
    except NotAnswered as refusal:
        raise _NotYet(refusal.reason, refusal.retry_after_s) from None
    try:
        content = read_answer(content_of(completion), fields=job.fields, material=job.material, on=job.on)
    except BadAnswer as bad:
        _store_bad(job.note, writer, completion, bad.reason)
        return bad.reason
    _store(job, writer, completion, content, left_out)
    return None


def _complete(job: _Job, writer: Writer, body: Mapping[str, Any]) -> Completion:
    """Ask, and have the model's breaker told how it did. Raises NotAnswered."""
    try:
        completion = complete(writer.endpoint, body)
    except NotAnswered as refusal:
        tell_breaker(writer, job.note.organisation_id, refusal.reason)
        raise
    tell_breaker(writer, job.note.organisation_id, None)
    return completion


def _body(job: _Job, writer: Writer, problem: str) -> tuple[dict[str, Any], int]:
    room = min(settings.NOTES_TRANSCRIPT_TOKENS_MAX, writer.model.context_tokens - _TOKENS_BESIDE)
    turns, left_out = cut(job.material.turns, room)
    body = request_body(
        writer.model.provider_model,
        material=Material(turns, job.material.collected),
        fields=job.fields,
        agent_name=job.agent_name,
        on=job.on,
        left_out=left_out,
        problem=problem,
    )
    return body | writer.options(), left_out


def _hold(note: Note, writer: Writer, *, tokens_in: int) -> None:
    try:
        card = payment.card_of(writer.model, timezone.localdate())
        payment.release(note)
        with transaction.atomic():
            payment.hold(note, card, tokens_in=tokens_in, tokens_out_max=writer.tokens_out_max)
            note.save(update_fields=["hold_id", "paid_by"])
    except RateMissing:
        raise _NotYet(NoteReason.NOT_RATED) from None
    except InsufficientCredits:
        raise _NotYet(NoteReason.NO_CREDIT) from None


def _store(job: _Job, writer: Writer, completion: Completion, content: dict[str, Any], left_out: int) -> None:
    with transaction.atomic():
        note = _locked(job.note)
        if note is None:
            return
        rating = _add_answer(note, writer, completion)
        payment.charge(note, rating, f"Note of a call with {job.agent_name or 'an assistant'}")
        note.written_by, note.turns_left_out = writer.kind, left_out
        _make_ready(note, content, "")


def _store_bad(note: Note, writer: Writer, completion: Completion, reason: NoteReason) -> None:
    with transaction.atomic():
        locked = _locked(note)
        if locked is None:
            # Somebody forgot the conversation meanwhile: nothing is asked about it again.
            note.answers, note.reason = ANSWERS_MAX, reason
            return
        _add_answer(locked, writer, completion)
        locked.reason = reason
        locked.save()
    note.answers, note.reason = locked.answers, reason
    log.warning("note_answer_bad", note_id=str(note.pk), reason=reason.value, model=writer.model.slug)


def _add_answer(note: Note, writer: Writer, completion: Completion) -> Rating:
    note.answers += 1
    note.model_slug = writer.model.slug
    note.provider_model = completion.model or writer.model.provider_model
    note.request_id = completion.request_id
    return payment.add_cost(note, writer.model, payment.card_of(writer.model, timezone.localdate()), completion.usage)


def _wait(note: Note, material: Material, trouble: _NotYet) -> None:
    if material.collected and timezone.now() - note.created_at > _FIELDS_WAIT:
        _finish_without_model(note.pk, material, trouble.reason)
        return
    with transaction.atomic():
        payment.release(note)
        Note.objects.filter(pk=note.pk, state=NoteState.WAITING).update(reason=trouble.reason, hold_id=None)
    pause_s = min(_FIRST_PAUSE_S * 2 ** min(note.tries - 1, 16), _LONGEST_PAUSE_S)
    log.info("note_waits", note_id=str(note.pk), reason=trouble.reason.value, tries=note.tries)
    raise outbox.Postpone(max(pause_s, trouble.retry_after_s or 0))


def _finish_without_model(note_id: UUID, material: Material, reason: NoteReason) -> None:
    """End with what was collected, if anything was: a booking is a booking without a summary, too."""
    with transaction.atomic():
        note = Note.objects.select_for_update().filter(pk=note_id, state=NoteState.WAITING).first()
        if note is None:
            return
        payment.release(note)
        if material.collected:
            note.written_by = NoteWriter.FIELDS
            _make_ready(note, content_of_fields(material), reason)
            return
        note.state, note.finished_at = NoteState.FAILED, timezone.now()
        note.reason = NoteReason.NOTHING_KEPT if not material.turns else reason
        note.save()
    log.warning("note_failed", note_id=str(note_id), reason=note.reason)


def _locked(job_note: Note) -> Note | None:
    """Return the note as it is now, locked, unless it is not to be written any more; this try's hold is then freed."""
    note = Note.objects.select_for_update().filter(pk=job_note.pk, state=NoteState.WAITING).first()
    if note is None:
        payment.release(job_note)
        return None
    # Another worker may have taken it up after our lease; what we hold is ours to charge or to free.
    note.hold_id = job_note.hold_id
    return note


def _make_ready(note: Note, content: dict[str, Any], reason: NoteReason | str) -> None:
    """In the caller's transaction: the note, its deliveries and the news of it are written together."""
    note.state, note.finished_at = NoteState.READY, timezone.now()
    note.content, note.reason = content, reason
    note.save()
    put_deliveries(note)
    try:
        with transaction.atomic():
            note_ready.send(Note, note_id=note.pk)
    except Exception as error:
        # The boundary to parts that notes do not know: what they could not write does not undo a note.
        log.error("note_ready_not_told", note_id=str(note.pk), error=type(error).__name__)
