"""The receptionist's wording: short sentences meant to be heard."""

from local_models.receptionist.messages import Tool
from local_models.receptionist.moments import say_clock, say_day
from local_models.receptionist.slots import Appointment, Slot

ANYTHING_ELSE = "Is there anything else I can help you with?"
HOW_CAN_I_HELP = "How can I help you?"
GOODBYE = "Thank you for calling. Goodbye!"
TAKE_YOUR_TIME = "Of course, take your time."
ONE_MOMENT = "Thank you, one moment."
WHAT_TO_CHANGE = "Sorry about that. What should I change?"
YES_OR_NO = "Sorry, was that a yes or a no?"
STILL_THERE = "Are you still there?"
DID_THAT_HELP = "Did that help?"
DOES_IT_WORK_NOW = "Does it work now?"
CALL_BACK_OFFER = "Would you like someone to call you back?"
TECHNICIAN_OFFER = "Would you like a technician to call you back?"
SPELL_OR_TYPE = "You can also spell it out letter by letter, or type it."

_NOT_UNDERSTOOD = (
    "Sorry, I didn't catch that.",
    "I'm sorry, I still didn't understand.",
    "I'm having trouble hearing you.",
    "Sorry, I missed that again.",
)
_QUESTIONS = {
    "name": ("May I have your name, please?", "What name should I put down?", "Could you say your name once more?"),
    "phone": (
        "What's the best phone number for you?",
        "Could you give me your phone number, digit by digit?",
        "What number can we reach you on?",
    ),
    "email": (
        "What's your e-mail address?",
        "Could you say your e-mail address again, with at and dot?",
        "What e-mail address should I put down?",
    ),
    "address": (
        "What's the address, please?",
        "Could you give me the house number and the street?",
        "What address should I put down?",
    ),
    "postcode": ("What's the zip code?", "Could you say the zip code digit by digit?", "Which zip code is that?"),
    "wish": ("What can we do for you?", "What do you need, in a few words?", "What should I note as the reason?"),
    "date": ("What day would suit you?", "Which day should I put down?", "What day is best, for example next Tuesday?"),
    "time": (
        "What time would suit you?",
        "What time should I put down?",
        "What time is best, for example ten thirty in the morning?",
    ),
    "datetime": (
        "What day and time would suit you?",
        "Which day and what time should I put down?",
        "When is best, for example Tuesday at two?",
    ),
    "birthday": (
        "What's the date of birth?",
        "Could you say the date of birth again, with the month and the year?",
        "What date of birth should I put down?",
    ),
    "count": ("For how many people?", "How many people will that be?", "How many should I put down?"),
}


def not_understood(times: int) -> str:
    return _NOT_UNDERSTOOD[(times - 1) % len(_NOT_UNDERSTOOD)]


def question(slot: Slot, tries: int = 0) -> str:
    """Ask for a slot, in other words each time."""
    if slot.kind == "choice":
        return _offer(slot, tries)
    if wordings := _QUESTIONS.get(slot.kind):
        return wordings[tries % len(wordings)]
    if slot.kind == "boolean":
        return f"{_described(slot) or slot.label.capitalize()}: yes or no?"
    described = _described(slot)
    subject = described[:1].lower() + described[1:] if described else f"the {slot.label}"
    return (f"Could you tell me {subject}?", f"What should I put down for the {slot.label}?")[tries % 2]


def question_about_when(known: Appointment) -> str:
    """Ask for the part of an appointment that is missing or could mean two things."""
    if known.clock and known.clock.half:
        return f"Is that {say_clock(known.clock)} in the morning or in the evening?"
    if known.day is None:
        return f"And which day, at {say_clock(known.clock)}?" if known.clock else "What day would suit you?"
    if known.part in ("morning", "afternoon", "evening"):
        return f"What time on {say_day(known.day)} in the {known.part}?"
    return f"And what time on {say_day(known.day)}?"


def rest_of_number(digits: str) -> str:
    return f"I have {spaced(digits)} so far. What are the other digits?"


def spell_name(name: str) -> str:
    return f"I heard {name}, but I'm not sure I got it right. Could you spell it for me, letter by letter?"


def spaced(digits: str) -> str:
    return " ".join(digits)


def join(parts: list[str], word: str = "and") -> str:
    """Join as in speech: "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def read_back(known: list[tuple[Slot, str]]) -> str:
    """Say everything that will be written down, in the order in which it was asked for, and that it is passed on."""
    said = [shown if slot.kind in _SELF_EVIDENT else f"{slot.label} {shown}" for slot, shown in known]
    return f"I will pass this on: {', '.join(said)}. Is that right?"


_SELF_EVIDENT = {"name", "address", "wish", "date", "time", "datetime", "email", "choice"}


def noun(tool: Tool | None) -> str:
    """Name what a tool makes: book_appointment makes an "appointment"."""
    if tool is None:
        return "call back"
    known = tool.name.lower().replace("-", "_").split("_")
    kept = [word for word in known if word not in _VERBS]
    return " ".join(kept) or "request"


_VERBS = {
    "book",
    "create",
    "make",
    "schedule",
    "request",
    "add",
    "new",
    "submit",
    "register",
    "place",
    "reserve",
    "open",
    "log",
    "send",
    "save",
    "set",
    "up",
    "a",
    "get",
    "take",
    "arrange",
}


def _offer(slot: Slot, tries: int) -> str:
    options = join([choice.replace("_", " ") for choice in slot.choices[:6]], "or")
    return (f"Which {slot.label} would you like: {options}?", f"The choices are {options}. Which one?")[tries % 2]


def _described(slot: Slot) -> str:
    """Return the property's description when it is short enough to be said."""
    described = str(slot.schema.get("description") or "").split(".")[0].split("(")[0].strip()
    return described if 0 < len(described.split()) <= 8 else ""
