"""Who else keeps a caller's words, to be deleted and handed out with the rest: notes, deliveries to a CRM, webhooks.

Whoever stores what a transcript or a collected field says registers here; what is not registered is not forgotten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Holder:
    """`delete(session_ids)` removes the words of these conversations in the caller's transaction and returns how many
    rows had any; `export(session_id)` returns plain values, as JSON has them: all that is held of one conversation."""

    name: str
    delete: Callable[[Sequence[UUID]], int]
    export: Callable[[UUID], Any]


_holders: dict[str, Holder] = {}


def register(holder: Holder) -> None:
    _holders[holder.name] = holder


def holders() -> list[Holder]:
    return list(_holders.values())
