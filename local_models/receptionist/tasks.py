"""What the receptionist can do: one task for each tool, and which of them a caller is asking for."""

import re
from dataclasses import dataclass

from local_models.receptionist import phrases
from local_models.receptionist.messages import Json, Tool
from local_models.receptionist.normalise import listed, words
from local_models.receptionist.slots import Slot, read_slots

_END = re.compile(r"end_?call|hang_?up|end_?conversation|finish_?call|terminate|disconnect", re.IGNORECASE)
_CALLBACK = re.compile(r"call_?back|transfer|escalat|human|handoff|hand_?off|representative|live_?agent", re.IGNORECASE)
_PLAIN = set(
    listed(
        "a an the and or for to of in on at with this that when once after is are be it its use call "
        "tool function caller customer user has have "
        "all given gives details required ask new their they them his her will by from about record save system"
    )
)
_SAME = {
    "book": "book",
    "schedule": "book",
    "reserve": "book",
    "booking": "book",
    "reservation": "book",
    "appointment": "book",
    "visit": "book",
    "reschedule": "move",
    "move": "move",
    "change": "move",
    "postpone": "move",
    "cancel": "cancel",
    "cancellation": "cancel",
    "order": "order",
    "buy": "order",
    "purchase": "order",
    "message": "message",
    "note": "message",
    "ticket": "ticket",
    "report": "ticket",
    "complaint": "ticket",
}


@dataclass(frozen=True)
class Task:
    """Something to do for a caller once everything it needs is known. Without a tool it is only noted."""

    tool: Tool | None
    slots: tuple[Slot, ...]
    is_callback: bool = False

    @property
    def noun(self) -> str:
        return "call back" if self.is_callback else phrases.noun(self.tool)


@dataclass(frozen=True)
class Tasks:
    """Everything on offer. `end_call` is the name of the tool that hangs up, if there is one."""

    ordinary: tuple[Task, ...]
    callback: Task
    end_call: str | None

    def find(self, name: str) -> Task | None:
        return next((task for task in (*self.ordinary, self.callback) if task.tool and task.tool.name == name), None)


def _noted(name: str) -> Slot:
    schema: Json = {"type": "string"}
    return Slot((name,), name, True, schema)


NOTED_CALLBACK = Task(None, (_noted("phone"), _noted("name")), is_callback=True)


def read_tasks(tools: list[Tool]) -> Tasks:
    """Sort tools into tasks, the one for calling back, and the one for hanging up."""
    end_call = next((tool.name for tool in tools if _END.search(tool.name)), None)
    callback = next((tool for tool in tools if _CALLBACK.search(tool.name)), None)
    ordinary = [tool for tool in tools if tool.name != end_call and tool is not callback]
    return Tasks(
        ordinary=tuple(Task(tool, tuple(read_slots(tool))) for tool in ordinary),
        callback=Task(callback, tuple(read_slots(callback)), is_callback=True) if callback else NOTED_CALLBACK,
        end_call=end_call,
    )


def match(text: str, tasks: Tasks) -> Task | None:
    """Return the task whose name and description share most with what was said, or None when nothing does."""
    said = _stems(text)
    scored = [(_score(said, task), -index, task) for index, task in enumerate(tasks.ordinary)]
    best = max(scored, default=None, key=lambda item: item[:2])
    return best[2] if best and best[0] > 0 else None


def _score(said: set[str], task: Task) -> float:
    assert task.tool is not None
    name = _stems(task.tool.name.replace("_", " ").replace("-", " "))
    described = _stems(task.tool.description)
    return 3 * len(said & name) + len(said & described - name)


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in words(text) if word not in _PLAIN and len(word) > 2}


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    if word in _SAME:
        return _SAME[word]
    for suffix in ("ing", "ed", "es", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            stem = word[: -len(suffix)]
            return _SAME.get(stem, stem)
    return word
