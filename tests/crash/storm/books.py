"""What is wrong in the books after a storm: nothing, if all is well, and if the providers' accounts agree."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from billing.models import Capture, Entry, Hold, HoldStatus
from tests.crash.findings import problems_of_wallets
from tests.crash.storm.callers import CallOfCaller
from tests.crash.storm.chat import WRITTEN_TOKENS
from tests.crash.storm.provider import Accounts
from voice.models import EndReason, Rung, Session, SessionState, UsageRecord

# Nothing else may end a call here: nobody is short of credits, nobody is silent, and no page breaks the protocol.
MAY_END_BY = {
    EndReason.CALLER_HUNG_UP, EndReason.CALLER_DISCONNECTED, EndReason.SHUTTING_DOWN, EndReason.PROCESS_DIED,
    EndReason.UPSTREAM_FAILED, EndReason.TICKET_UNUSED,
}  # fmt: skip
# What is on its way when a process is killed, or lets a call go to another one, may be lost: an answer at most.
_LOST_MAX = 1
_CHAT_RUNG = "text"


class Books:
    """The books of one storm. `chat_told` is what `text_model` told: tokens read, each number once, and by whom."""

    def __init__(
        self, accounts: Accounts, *, chat_told: Mapping[int, int], text_model: str, caller_of: Mapping[str, int]
    ) -> None:
        self._accounts, self._chat_told, self._text_model = accounts, chat_told, text_model
        self._caller_of = caller_of
        self._chat_billed: Counter[int] = Counter()
        self.facts: Counter[str] = Counter()

    def problems(self, calls: Sequence[CallOfCaller]) -> list[str]:
        """Return a sentence for everything that is wrong with these calls, with others, or with a wallet."""
        by_session = {call.session_id: call for call in calls}
        problems = []
        for session in Session.objects.order_by("created_at"):
            call = by_session.get(str(session.id))
            if call is None:
                # Admitted while something was away, and never heard of by its caller.
                problems += [] if session.state == SessionState.ENDED else [f"session {session.id}: it is still open"]
                continue
            problems += [f"session {session.id}: {problem}" for problem in self._problems_of(session, call)]
        return [*problems, *self._problems_of_chat(), *problems_of_wallets()]

    def _problems_of(self, session: Session, call: CallOfCaller) -> Iterator[str]:
        usage = list(UsageRecord.objects.filter(session=session))
        yield from _problems_of_end(session, call)
        yield from _problems_of_money(session, usage, call)
        yield from self._problems_of_responses(session, usage, call)
        yield from self._problems_of_transcriptions(usage, call)
        yield from _problems_of_rungs(session, usage, call)
        self.facts[f"ended: {session.end_reason}"] += 1
        self.facts["calls that outlived a process or died with it"] += self._may_lose(session, call) > 0

    # What the providers produced and what was billed.

    def _problems_of_responses(
        self, session: Session, usage: Sequence[UsageRecord], call: CallOfCaller
    ) -> Iterator[str]:
        produced = self._accounts.responses.get(call.name, {})
        billed: dict[str, list[UsageRecord]] = {}
        for row in usage:
            if row.source != UsageRecord.Source.RESPONSE:
                continue
            if row.model_slug == self._text_model:
                yield from self._problem_of_text(row, call)
                continue
            billed.setdefault(_id_of(row), []).append(row)
        for response_id, rows in billed.items():
            if len(rows) > 1:
                yield f"{response_id} was charged {len(rows)} times"
            made = produced.get(response_id)
            if made is None:
                yield f"{response_id} was charged, and no provider made it"
                continue
            for row in rows:
                self.facts["responses estimated" if row.is_estimated else "responses measured"] += 1
                if not row.is_estimated and row.usage != made.usage:
                    yield f"{response_id} was charged by other figures than its provider told"
                if row.is_estimated and not made.is_begun:
                    yield f"{response_id} was estimated, and nothing of it was delivered"
        missing = [id_ for id_, made in produced.items() if made.usage and id_ not in billed]
        self.facts["responses of killed processes not billed"] += len(missing)
        if len(missing) > self._may_lose(session, call):
            yield f"{len(missing)} answers were reported and are not on the books: {', '.join(missing[:3])}"

    def _problem_of_text(self, row: UsageRecord, call: CallOfCaller) -> Iterator[str]:
        if row.is_estimated or row.usage["output_tokens"] != WRITTEN_TOKENS:
            # Broken off before its provider could tell: what was delivered of it was counted here.
            self.facts["text answers broken off"] += 1
            return
        self.facts["text answers measured"] += 1
        tokens = int(row.usage["input_token_details"]["text_tokens"])
        self._chat_billed[tokens] += 1
        if self._chat_told.get(tokens) != self._caller_of.get(str(call.session_id)):
            yield f"a text answer of {tokens} tokens was charged, and the provider told somebody else of it, or nobody"

    def _problems_of_chat(self) -> Iterator[str]:
        for tokens, times in self._chat_billed.items():
            if times > 1:
                yield f"a text answer of {tokens} tokens was charged {times} times"
        missing = len(self._chat_told) - len(self._chat_billed)
        # Told in the moment in which it was broken off, or in which its process died.
        if (
            missing
            > self.facts["text answers broken off"] + self.facts["calls that outlived a process or died with it"]
        ):
            yield f"{missing} text answers were told of and are not on the books"
        self.facts["text answers told of and not billed"] = missing

    def _problems_of_transcriptions(self, usage: Sequence[UsageRecord], call: CallOfCaller) -> Iterator[str]:
        told = self._accounts.transcriptions.get(call.name, {})
        rows = [row for row in usage if row.source == UsageRecord.Source.TRANSCRIPTION]
        for item_id, times in Counter(map(_id_of, rows)).items():
            if times > 1:
                yield f"{item_id} was written down once and charged {times} times"
            if item_id not in told:
                yield f"{item_id} was charged, and nobody wrote it down"
        self.facts["transcriptions billed"] += len(rows)

    @staticmethod
    def _may_lose(session: Session, call: CallOfCaller) -> int:
        if session.end_reason == EndReason.PROCESS_DIED:
            return _LOST_MAX
        # Each process that a call had before the last one may have been killed with an answer on its way.
        return _LOST_MAX * session.generation


def _id_of(row: UsageRecord) -> str:
    # The books number a call's later upstreams before their ids.
    return str(row.upstream_id).rpartition("/")[2]


def _problems_of_end(session: Session, call: CallOfCaller) -> Iterator[str]:
    if session.state != SessionState.ENDED or session.ended_at is None:
        yield "it is still open"
    if session.end_reason not in MAY_END_BY:
        yield f"it ended by {session.end_reason!r}, and its caller was told of {call.ends_with!r}"


def _problems_of_money(session: Session, usage: Sequence[UsageRecord], call: CallOfCaller) -> Iterator[str]:
    hold = Hold.objects.get(id=session.hold_id)
    entries = [entry.amount_micro for entry in Entry.objects.filter(reference=session.reference)]
    captured_micro = sum(row.captured_micro for row in usage)
    uncollected_micro = sum(row.uncollected_micro for row in usage)
    captures = {capture.key: capture.captured_micro for capture in Capture.objects.filter(hold=hold)}
    if hold.status == HoldStatus.OPEN:
        yield "its hold is still open"
    if entries != ([-captured_micro] if captured_micro else []):
        yield f"usage is {captured_micro}, its entries are {entries}"
    if {key: micro for key, micro in captures.items() if micro} != {
        f"{row.source}:{row.upstream_id}": row.captured_micro for row in usage if row.captured_micro
    }:
        yield "its captures are not its usage"
    if not session.captured_micro == hold.captured_micro == captured_micro:
        yield f"session, hold and usage say {session.captured_micro}, {hold.captured_micro} and {captured_micro}"
    if uncollected_micro:
        yield f"{uncollected_micro} of its usage was not collected"
    if captured_micro < call.told_micro:
        yield f"the caller was told {call.told_micro}, the books say {captured_micro}"
    if call.receipt is not None and call.receipt["total_micro"] != captured_micro:
        yield f"the caller's receipt says {call.receipt['total_micro']}, the books say {captured_micro}"
    if call.receipt is not None and call.ends_with != session.end_reason:
        yield f"the caller was told it ended by {call.ends_with}, the books say {session.end_reason}"


def _problems_of_rungs(session: Session, usage: Sequence[UsageRecord], call: CallOfCaller) -> Iterator[str]:
    rungs = list(Rung.objects.filter(session=session).order_by("index"))
    indexes = [rung.index for rung in rungs]
    if indexes != list(range(len(rungs))):
        yield f"its rungs are {indexes}, and it ended by {session.end_reason}"
    for rung in rungs:
        if rung.index and not rung.reason:
            yield f"nothing says why {rung.model_slug} took its rung {rung.index}"
    # A call that kept its first model to the end of its process may have no rung at all.
    explained = {rung.model_slug for rung in rungs} | {session.model_served}
    billed = {str(row.model_slug) for row in usage if row.source == UsageRecord.Source.RESPONSE}
    for what, models in (("the caller was told of", set(call.models)), ("charged was", billed)):
        if unexplained := sorted(models - explained):
            yield f"{what} {unexplained}, and its rungs are of {sorted(explained)}; ended by {session.end_reason}"


# Libraries that tell of a Redis that is away as they like: the logger's name and the error's.
_ALLOWED_TRACES = {
    ("channels_redis.pubsub", "ConnectionError"), ("channels_redis.pubsub", "CancelledError"),
    ("celery.bootsteps", "AttributeError"), ("celery.beat", "SchedulingError"),
}  # fmt: skip


def problems_of_logs(logs: Sequence[Path], secrets: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return what no log may hold: tracebacks, keys and tickets, and what people said."""
    problems = []
    for log in logs:
        text = log.read_text(errors="replace") if log.exists() else ""
        problems += [f"{log.name} holds a traceback: {trace}" for trace in unexpected_traces(text)]
        problems += [f"{log.name} holds a secret that begins with {secret[:6]}" for secret in secrets if secret in text]
        problems += [f"{log.name} holds what was said: {word!r}" for word in words if word.lower() in text.lower()]
    return problems


def unexpected_traces(text: str) -> list[str]:
    """Return the tail of each traceback of a log that none of our libraries is known for, once each."""
    traces: dict[str, None] = {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            if "Traceback (most recent call last)" in line:
                traces["not logged as an event"] = None
            continue
        if not isinstance(event, dict) or not event.get("exception"):
            continue
        trace = str(event["exception"]).rstrip()
        error = trace.splitlines()[-1].partition(":")[0].rpartition(".")[2]
        if (event.get("logger"), error) not in _ALLOWED_TRACES:
            traces[f"{event.get('event')}: {trace[-600:]}"] = None
    return list(traces)


def as_facts(facts: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in sorted(facts.items())]
