"""The questions of the pricing worksheet, with their defaults and bounds; the page and the API ask the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from voice import history


class History(StrEnum):
    """How much of the conversation the model reads again before each answer: what an agent may be set to."""

    WHOLE = history.WHOLE
    RECENT = history.RECENT


@dataclass(frozen=True, slots=True)
class Parameter:
    """One question that a whole number answers."""

    name: str
    label: str
    default: int
    least: int
    most: int
    help: str = ""


# The bounds keep one estimate below a thousand responses, which are rated one by one.
PARAMETERS = (
    Parameter("minutes_per_call", "Minutes a call", 5, 1, 60),
    Parameter("calls_a_month", "Calls a month", 300, 1, 1_000_000),
    Parameter("peak_calls", "Calls at the same time", 3, 1, 1_000, "At the busiest moment."),
    Parameter("words_per_minute", "Words a minute", 150, 60, 250, "People speak about 150."),
    Parameter("agent_talk_percent", "Assistant's share of the talk, %", 50, 0, 100),
    Parameter("turns_per_minute", "Turns a minute", 5, 1, 15, "How often the assistant answers."),
    Parameter("instructions_words", "Words of instructions", 450, 0, 5_000, "Read again before every answer."),
    Parameter("cached_percent", "Read again from the cache, %", 80, 0, 95, "The provider's cache: best effort."),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know the price of. Build it with `question_of`, which checks the bounds."""

    minutes_per_call: int = 5
    calls_a_month: int = 300
    peak_calls: int = 3
    words_per_minute: int = 150
    agent_talk_percent: int = 50
    turns_per_minute: int = 5
    instructions_words: int = 450
    cached_percent: int = 80
    history: History = History.WHOLE


class InvalidParameter(Exception):
    """`name` has a value that is no answer; `problem` ends a sentence that begins with the name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem


def question_of(values: Mapping[str, str]) -> Question:
    """Read a query's values; what is missing or empty has its default. Raises InvalidParameter."""
    numbers = {parameter.name: _number(parameter, values.get(parameter.name, "")) for parameter in PARAMETERS}
    return Question(**numbers, history=_history(values.get("history", "")))


def _number(parameter: Parameter, text: str) -> int:
    if not text:
        return parameter.default
    # isdecimal alone would let in other scripts' digits; the length bounds what int() is given.
    if len(text) > 9 or not (text.isascii() and text.isdecimal()):
        raise InvalidParameter(parameter.name, "must be a whole number")
    number = int(text)
    if not parameter.least <= number <= parameter.most:
        raise InvalidParameter(parameter.name, f"must lie between {parameter.least} and {parameter.most}")
    return number


def _history(text: str) -> History:
    try:
        return History(text or History.WHOLE)
    except ValueError:
        raise InvalidParameter("history", f"must be one of {', '.join(History)}") from None
