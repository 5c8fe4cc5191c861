"""A deterministic receptionist: replays the messages of a conversation and says what comes next."""

import re
from datetime import datetime

from local_models.receptionist.conversation import Conversation
from local_models.receptionist.instructions import read
from local_models.receptionist.messages import Json, Message, Reply, Tool
from local_models.receptionist.notes import write

__all__ = ["compose_json", "reply"]

# Instructions that are nothing but a sentence to be said now, whatever has been said before.
_DICTATED = re.compile(r"\s*say exactly:\s*(\S.*)", re.IGNORECASE | re.DOTALL)
DICTATED_MAX_CHARS = 2000


def reply(messages: list[Message], tools: list[Tool], tool_choice: str, now: datetime) -> Reply:
    """Return the next thing to say. `tool_choice` is auto, none, required, or "=name" of the one to call."""
    instructions, turns = _split(messages)
    if tool_choice in ("auto", "none") and (dictated := _DICTATED.fullmatch(instructions)):
        return Reply(dictated[1].strip()[:DICTATED_MAX_CHARS])
    conversation = Conversation(read(instructions), [] if tool_choice == "none" else tools, now)
    answer = _replay(conversation, turns)
    if tool_choice in ("auto", "none") or (answer.call and tool_choice in ("required", f"={answer.call.name}")):
        return answer
    forced = conversation.force(tool_choice.removeprefix("=") if tool_choice != "required" else None)
    return Reply("", forced) if forced else answer


def compose_json(messages: list[Message], schema: Json, now: datetime) -> str:
    """Return JSON text that is valid against the schema, filled from the conversation in the messages."""
    return write(messages, schema, now)


def _split(messages: list[Message]) -> tuple[str, list[Message]]:
    """Separate the instructions, which come first, from what was said since."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return "\n".join(message.text for message in messages[:start]), messages[start:]


def _replay(conversation: Conversation, turns: list[Message]) -> Reply:
    if not turns:
        return conversation.greet()
    if turns[0].role != "user":
        # Somebody greeted before us, perhaps with the very greeting of the instructions.
        conversation.greet()
    answer = Reply("")
    for turn in turns:
        if turn.role == "assistant":
            conversation.note_said(turn)
        elif turn.role == "tool":
            answer = conversation.note_result(turn.text)
        elif turn.role == "user":
            answer = conversation.hear(turn.text)
        else:
            answer = conversation.told(turn.text) if turn is turns[-1] else answer
    return conversation.nudge() if turns[-1].role == "assistant" else answer
