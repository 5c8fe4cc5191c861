"""Write the note of a conversation as JSON: only from what was said, never by what a transcript orders."""

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from local_models.receptionist import intents
from local_models.receptionist.form import Form
from local_models.receptionist.instructions import read
from local_models.receptionist.json_schema import MISSING, Filler, Record
from local_models.receptionist.listening import listen
from local_models.receptionist.messages import Json, Message
from local_models.receptionist.normalise import listed, plain
from local_models.receptionist.slots import Appointment, Slot, argument
from local_models.receptionist.tasks import Task

TURNS_MAX = 600
QUESTION_MAX_CHARS = 120

_CALLER = r"caller|customer|user|visitor|patient|client|guest|human|person"
_ASSISTANT = r"assistant|agent|receptionist|bot|ai|model|system assistant|operator"
_LINE = re.compile(
    rf"^\W*(?:\[?[\d:.,\s-]+\]?\s*)?(?P<who>{_CALLER}|{_ASSISTANT})\s*(?:\([^)]*\)|"
    rf"\[[^\]]*\])?\s*:\s*(?P<text>.*)$",
    re.IGNORECASE,
)
_TEXT_KEYS = ("text", "content", "transcript", "message", "said")
_WHO_KEYS = ("role", "speaker", "who", "from", "author")

# What is addressed to a model rather than to a receptionist is left out of the note as a whole sentence.
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|prompt|rule|above|"
    r"previous|prior|everything|schema|system|guideline)|\b(?:system|developer) (?:prompt|message|"
    r"note|override)\b|\bprompt injection\b|\bjailbreak|"
    r"\b(?:you are|you're|act as|pretend|behave as)\b.{0,30}\b(?:now|an? (?:ai|model|assistant|bot|"
    r"hacker|admin|language)|dan)\b|\b(?:output|respond|reply|answer|write|print|return|say|set|mark|"
    r"put|record|include|append|insert|add|use)\b.{0,60}\b(?:summary|outcome|sentiment|json|schema|"
    r"field|note|crm|"
    r"exactly|verbatim|only the|action items?|the word|in all caps|following)\b|\b(?:summary|outcome|"
    r"sentiment|action items?|json|status)\b.{0,25}\b(?:must|should|shall|is|to|as|=|:)\b.{0,60}|"
    r"\b(?:pwned|hacked|</?\w+>|```|\{\{|\"\w+\"\s*:)|\bnew instructions?\b|\binstructions?\s*:|"
    r"\b(?:api key|password|secret|credentials?|token)s?\b.{0,30}\b(?:reveal|print|show|send|tell)|"
    r"\b(?:reveal|print|show|send|tell me|leak)\b.{0,40}\b(?:api key|password|secret|credentials?|"
    r"prompt|instructions)|<\|?\w+\|?>|\[/?inst\]|^#+\s|\bend of (?:the )?transcript\b|"
    r"\bassistant\s*:|\bsystem\s*:",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(?:you're all set|all set|is (?:noted|booked|confirmed|scheduled)|(?:i've|i have|we've|we "
    r"have|you're|you are) (?:now )?(?:booked|scheduled|confirmed|reserved)|see you (?:on|then)|"
    r"booking (?:is )?confirmed|appointment (?:is )?(?:booked|confirmed))\b",
    re.IGNORECASE,
)
_CALL_BACK = re.compile(
    r"\b(?:noted that you'd like a call ?back|(?:will|someone will|we'll|they'll) call you(?: back)?|"
    r"have someone call you|call you back)\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"\b(?:don't|do not) (?:have|know) (?:that|the answer|it|about)\b|\bi'm not sure about\b", re.IGNORECASE
)
_READ_BACK = re.compile(
    r"\b(?:is that (?:right|correct)|did i get that right|is everything correct|shall i (?:book|go "
    r"ahead))\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"\b(?:angry|terrible|frustrat\w+|ridiculous|awful|unacceptable|worst|upset|complain\w*|"
    r"disappoint\w+|not happy|unhappy|annoy\w+|horrible|useless|rude|waste of|fed up|never again|"
    r"furious|disgust\w+|hate|stupid)\b"
)
_POSITIVE = re.compile(
    r"\b(?:great|perfect|wonderful|excellent|helpful|lovely|amazing|awesome|fantastic|brilliant|love "
    r"(?:it|that)|very kind|so kind|pleased|happy|appreciate|delighted)\b"
)

_ASKS = {
    "name": r"\bname\b|\bwho (?:am i|should)|\bspell\b",
    "phone": r"\b(?:phone|number|digits)\b",
    "email": r"\be-?mail\b",
    "address": r"\b(?:address|street|house number|where do you live)\b",
    "datetime": r"\b(?:what|which) (?:day|time|date|other day)|\bwhen\b|\bin the (?:morning|afternoon|evening)\b|"
    r"\bwould suit\b",
    "wish": r"\bwhat (?:can|do|should) (?:we|you|i)\b|\bhow can i help\b|\breason\b",
}
_OUTCOMES = {
    "booked": listed(
        "booked appointment_booked task_completed appointment scheduled booking completed complete "
        "success successful resolved converted won done positive yes"
    ),
    "callback": listed(
        "callback callback_requested call_back follow_up followup escalated transferred human pending open other"
    ),
    "information": listed("information info answered question enquiry inquiry faq resolved completed no_action other"),
    "given_up": listed(
        "given_up abandoned gave_up incomplete not_completed unresolved dropped cut failed fail lost cancelled no other"
    ),
    "nothing": listed("no_conversation empty silent no_speech nothing none unknown other abandoned given_up"),
}


@dataclass
class Facts:
    """What a conversation came to."""

    collected: dict[str, str] = field(default_factory=dict)
    wish: str | None = None
    when: Appointment | None = None
    outcome: str = "nothing"
    sentiment: str = "neutral"
    open_questions: list[str] = field(default_factory=list)
    asked_for_person: bool = False
    turns: int = 0
    caller_turns: int = 0


def write(messages: list[Message], schema: Json, now: datetime) -> str:
    """Return JSON text for the schema. With an empty schema, every field we know."""
    instructions = "\n".join(message.text for message in messages if message.role == "system")
    today = read(instructions).today or now.date()
    turns = read_turns(messages)
    facts = gather(turns, today)
    if any(
        call.name.startswith(("book", "schedule", "reserve", "create"))
        for message in messages
        for call in message.calls
    ):
        facts.outcome = "booked"
    source = NoteSource(facts, today, now)
    note = source.everything() if not schema else Filler(schema).fill(schema, [], source)
    return json.dumps(note, ensure_ascii=False)


def read_turns(messages: list[Message]) -> list[tuple[str, str]]:
    """Return ("caller" or "assistant", text) pairs: of a transcript in the messages, else the messages themselves."""
    for message in reversed(messages):
        if message.role == "user" and (turns := _transcript(message.text)):
            return turns[:TURNS_MAX]
    spoken = [
        ("caller" if message.role == "user" else "assistant", message.text)
        for message in messages
        if message.role in ("user", "assistant")
    ]
    return spoken[:TURNS_MAX]


def gather(turns: list[tuple[str, str]], today: date) -> Facts:
    """Find out who called, what for, and what came of it."""
    facts = Facts(turns=len(turns))
    form = Form(Task(None, tuple(Slot((kind,), kind, False, {"type": "string"}) for kind in _ASKS)))
    said_before = asked_text = ""
    read_back = confirmed = done = called_back = False
    for who, text in turns:
        if who == "assistant":
            done = done or (bool(_DONE.search(text)) and "?" not in text.split(".")[0])
            called_back = called_back or bool(_CALL_BACK.search(text) and not text.rstrip().endswith("?"))
            if _UNKNOWN.search(text) and (question := _spoken_question(said_before)):
                facts.open_questions.append(question)
            read_back = bool(_READ_BACK.search(text))
            asked_text = text
        else:
            kept = without_orders(text)
            facts.caller_turns += bool(kept)
            _take(form, kept, _asked(form, asked_text), today)
            confirmed = confirmed or (read_back and intents.yes_no(kept) is True)
            facts.asked_for_person = facts.asked_for_person or intents.wants_person(kept)
            said_before = kept
    _store(facts, form)
    facts.outcome = _outcome(facts, done=done, confirmed=confirmed, called_back=called_back)
    facts.sentiment = _sentiment(" ".join(without_orders(text) for who, text in turns if who == "caller"))
    return facts


def without_orders(text: str) -> str:
    """Leave out the sentences that try to give a model orders."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+|;\s+", text)
    return " ".join(sentence for sentence in sentences if not _ORDERS.search(sentence))


class NoteSource:
    """Gives a schema's properties their values by the words of their names."""

    def __init__(self, facts: Facts, today: date, now: datetime) -> None:
        self._facts = facts
        self._day = today
        aware = now if now.tzinfo else now.astimezone()
        self._zone = aware.tzinfo
        self.today = today.isoformat()
        self.now = aware.replace(microsecond=0).isoformat()

    def value(self, words: list[str], wanted: str) -> Any:
        if wanted == "string":
            return self._text(set(words), words)
        if wanted == "array":
            return self._list(set(words))
        if wanted == "boolean":
            return self._flag(set(words))
        if wanted == "object":
            return self._object(set(words))
        return self._number(set(words))

    def choices(self, words: list[str]) -> list[str]:
        known = set(words)
        if known & {"sentiment", "mood", "tone", "emotion", "satisfaction"}:
            return [
                self._facts.sentiment,
                {"positive": "happy", "negative": "unhappy", "neutral": "mixed"}[self._facts.sentiment],
            ]
        if known & {"outcome", "result", "status", "disposition", "resolution", "stage"}:
            return _OUTCOMES[self._facts.outcome]
        if known & {"language", "locale"}:
            return ["en", "english"]
        if known & {"priority", "urgency"}:
            return ["high", "urgent"] if self._facts.sentiment == "negative" else ["normal", "medium", "low"]
        if known & {"intent", "reason", "category", "topic", "type", "purpose"}:
            return [*re.findall(r"[a-z]+", (self._facts.wish or "").lower()), *_OUTCOMES[self._facts.outcome]]
        return []

    def everything(self) -> Json:
        """Return the note for a request that gave no schema."""
        return {
            "summary": self.summary(),
            "outcome": self._facts.outcome,
            "sentiment": self._facts.sentiment,
            "action_items": self.action_items(),
            "dates": self._dates(),
            "fields": self._facts.collected,
        }

    def summary(self) -> str:
        """Say in a few sentences who called, what for, and what came of it."""
        facts = self._facts
        if facts.outcome == "nothing":
            return "The caller said nothing that could be understood."
        who = facts.collected.get("name", "Someone")
        sentences = [f"{who} called about: {facts.wish}." if facts.wish else f"{who} called."]
        when = facts.collected.get("time")
        sentences += {
            "booked": [f"An appointment was booked{f' for {when}' if when else ''}."],
            "callback": ["A call back was asked for."],
            "information": ["Questions were answered; nothing was booked."],
            "given_up": ["The request was not completed."],
        }[facts.outcome]
        if facts.outcome != "booked" and when:
            sentences.append(f"The time spoken of was {when}.")
        contact = [
            f"{label}: {facts.collected[label]}" for label in ("address", "phone", "email") if label in facts.collected
        ]
        sentences += [f"Known: {'; '.join(contact)}."] if contact else []
        return " ".join(sentences)

    def action_items(self) -> list[str]:
        facts = self._facts
        who = facts.collected.get("name", "the caller")
        number = f" on {facts.collected['phone']}" if "phone" in facts.collected else ""
        items = {
            "booked": [
                f"Prepare the appointment of "
                f"{who}{' on ' + facts.collected['time'] if 'time' in facts.collected else ''}."
            ],
            "callback": [f"Call {who} back{number}."],
            "given_up": [f"Follow up with {who}{number}: the request was not completed."] if facts.collected else [],
        }.get(facts.outcome, [])
        return items + [f"Find the answer to: {question}" for question in facts.open_questions]

    def _text(self, known: set[str], words: list[str]) -> Any:
        facts = self._facts
        if known & {
            "summary",
            "overview",
            "synopsis",
            "recap",
            "notes",
            "note",
            "body",
            "details",
            "description",
            "content",
        }:
            return self.summary()
        if known & {"title", "subject", "headline"}:
            return f"{facts.collected.get('name', 'Caller')}: {facts.wish or facts.outcome.replace('_', ' ')}"
        if known & {"outcome", "result", "disposition", "resolution", "status"}:
            return facts.outcome
        if known & {"sentiment", "mood", "tone", "emotion"}:
            return facts.sentiment
        if known & {"language", "locale"}:
            return "en"
        if known & {"follow", "followup"} and known & {"date", "day", "when"}:
            return self._follow_up_day()
        if known & {"action", "next", "follow", "todo"}:
            return next(iter(self.action_items()), MISSING)
        return self._collected(known, words)

    def _follow_up_day(self) -> Any:
        """An appointment is no follow-up; a day that was named for a call back is."""
        when = self._facts.when
        if self._facts.outcome == "booked" or when is None or when.day is None:
            return MISSING
        return when.day.isoformat()

    def _collected(self, known: set[str], words: list[str]) -> Any:
        facts = self._facts
        if known & {"company", "business", "organisation", "organization", "agent", "assistant"}:
            return MISSING
        for kind, names in _FIELD_WORDS.items():
            if known & names and kind in facts.collected:
                return self._moment(known) if kind == "time" else facts.collected[kind]
        if (
            known
            & {"service", "reason", "intent", "topic", "purpose", "request", "issue", "need", "problem", "category"}
            and facts.wish
        ):
            return facts.wish
        return MISSING

    def _moment(self, known: set[str]) -> str:
        when = self._facts.when
        assert when is not None
        if when.complete and not known & {"date", "day"}:
            slot = Slot(("time",), "datetime", False, {"format": "date-time"})
            return str(argument(slot, when, self._zone))
        if when.day and not (known & {"time"} and not known & {"date", "appointment"}):
            return when.day.isoformat()
        return self._facts.collected["time"]

    def _list(self, known: set[str]) -> Any:
        if known & {"action", "actions", "steps", "follow", "followups", "ups", "todo", "todos", "tasks"}:
            due = self._facts.when.day.isoformat() if self._facts.when and self._facts.when.day else None
            records = [
                {"text": item, "owner": "staff", "status": "open", "done": False} | ({"due": due} if due else {})
                for item in self.action_items()
            ]
            return [Record(record, self.today, self.now, ["action"]) for record in records]
        if known & {"dates", "date", "appointments", "times", "events"}:
            label = "appointment" if self._facts.outcome == "booked" else "spoken of"
            return [Record({"date": day, "label": label}, self.today, self.now, ["date"]) for day in self._dates()]
        if known & {
            "fields",
            "collected",
            "data",
            "slots",
            "entities",
            "values",
            "attributes",
            "facts",
            "details",
            "information",
        }:
            return [
                Record({"value": value, "key": key}, self.today, self.now, ["field"])
                for key, value in self._facts.collected.items()
            ]
        if known & {"questions", "unanswered", "open"}:
            return self._facts.open_questions
        if known & {"topics", "tags", "keywords", "labels", "services", "intents", "reasons"}:
            return [self._facts.wish] if self._facts.wish else []
        return MISSING

    def _flag(self, known: set[str]) -> Any:
        facts = self._facts
        if known & {"callback", "follow", "followup", "human", "escalated", "escalate", "escalation"}:
            return (
                facts.outcome == "callback"
                or facts.asked_for_person
                or (bool(known & {"follow", "followup"}) and bool(self.action_items()))
            )
        if known & {"booked", "appointment", "scheduled", "converted", "booking"}:
            return facts.outcome == "booked"
        if known & {"resolved", "completed", "complete", "success", "successful", "done", "task"}:
            return facts.outcome in ("booked", "information")
        return MISSING

    def _number(self, known: set[str]) -> Any:
        if known & {"sentiment", "score"}:
            return {"positive": 1, "neutral": 0, "negative": -1}[self._facts.sentiment]
        if known & {"turns", "messages"}:
            return self._facts.turns
        return MISSING

    def _object(self, known: set[str]) -> Any:
        if known & {
            "fields",
            "collected",
            "data",
            "slots",
            "entities",
            "values",
            "attributes",
            "details",
            "contact",
            "customer",
            "caller",
        }:
            return Record(dict(self._facts.collected), self.today, self.now, ["field"])
        return MISSING

    def _dates(self) -> list[str]:
        when = self._facts.when
        return [when.day.isoformat()] if when and when.day else []


_FIELD_WORDS = {
    "phone": {"phone", "telephone", "mobile", "number", "cell"},
    "email": {"email", "mail"},
    "address": {"address", "street", "location"},
    "time": {"time", "date", "when", "appointment", "datetime", "day", "slot"},
    "name": {"name", "customer", "caller", "client", "patient", "contact", "person", "guest"},
}


def _transcript(text: str) -> list[tuple[str, str]]:
    """Read a transcript written as JSON or as lines "Caller: ..."; empty when the text is neither."""
    if turns := _json_transcript(text):
        return turns
    turns = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            turns.append((_speaker(match.group("who")), match.group("text").strip()))
        elif turns and line.strip():
            turns[-1] = (turns[-1][0], f"{turns[-1][1]} {line.strip()}")
    return turns if len(turns) > 1 or (turns and "\n" in text.strip()) else []


def _json_transcript(text: str) -> list[tuple[str, str]]:
    start, end = (
        min((at for at in (text.find("["), text.find("{")) if at >= 0), default=-1),
        max(text.rfind("]"), text.rfind("}")),
    )
    if start < 0 or end < start:
        return []
    try:
        found = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return []
    if isinstance(found, dict):
        found = next(
            (value for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)), []
        )
    turns = [_json_turn(item) for item in found if isinstance(item, dict)]
    return [turn for turn in turns if turn]


def _json_turn(item: Json) -> tuple[str, str] | None:
    who = next((item[key] for key in _WHO_KEYS if isinstance(item.get(key), str)), None)
    text = next((item[key] for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
    return (_speaker(who), text) if who and text else None


def _speaker(who: str) -> str:
    return "assistant" if re.fullmatch(_ASSISTANT, who.strip(), re.IGNORECASE) else "caller"


def _asked(form: Form, said: str) -> Slot | None:
    question = plain(said.rsplit(".", 1)[-1] if "?" in said.rsplit(".", 1)[-1] else said)
    kind = next((kind for kind, pattern in _ASKS.items() if re.search(pattern, question)), None)
    if kind is None or _READ_BACK.search(said):
        return None
    return next(slot for slot in form.task.slots if slot.kind == kind)


def _take(form: Form, text: str, asked: Slot | None, today: date) -> None:
    heard = listen(text, today, asked.kind if asked else None)
    if heard.empty or intents.wants_repeat(text):
        return
    changes = form.fill(heard, asked, correcting=intents.changes(heard.text))
    if changes or asked is None:
        return
    # "Dana Scully. Can I speak to somebody?": the answer comes first.
    answer = listen(re.split(r"(?<=\w\w[.!?])\s", heard.text)[0], today, asked.kind)
    if (
        intents.yes_no(answer.text) is None
        and not intents.is_question(answer.text)
        and not intents.is_goodbye(answer.text)
    ):
        form.answer(answer, asked, today)


def _store(facts: Facts, form: Form) -> None:
    for slot in form.task.slots:
        if slot.name not in form.values:
            continue
        value = form.values[slot.name]
        if slot.kind == "wish":
            facts.wish = value
        elif isinstance(value, Appointment):
            facts.when = value
            facts.collected["time"] = form.shown(slot)
        else:
            facts.collected[slot.kind] = form.shown(slot)
    if not facts.collected.get("time"):
        facts.collected.pop("time", None)
        facts.when = None
    if facts.wish:
        facts.collected["service"] = facts.wish


def _outcome(facts: Facts, *, done: bool, confirmed: bool, called_back: bool) -> str:
    if not facts.caller_turns:
        return "nothing"
    if done and (confirmed or facts.when):
        return "booked"
    if called_back or facts.asked_for_person:
        return "callback"
    unfinished = facts.when is not None or "address" in facts.collected
    return "given_up" if unfinished or facts.open_questions else "information"


def _sentiment(said: str) -> str:
    said = plain(said)
    bad, good = len(_NEGATIVE.findall(said)), len(_POSITIVE.findall(said))
    if bad and bad >= good:
        return "negative"
    return "positive" if good else "neutral"


def _spoken_question(said: str) -> str | None:
    question = " ".join(said.split())[:QUESTION_MAX_CHARS]
    return question if question and intents.is_question(question) else None
