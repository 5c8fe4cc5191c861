"""Which model writes a note today, and where it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings

from voice.catalogue.on_offer import writers_of
from voice.catalogue.seed_data import EMBEDDED_CHAT
from voice.models import CatalogueModel, NoteWriter
from voice.notes.chat import Endpoint

# Far more than a note takes; a model that thinks first needs room for that.
_TOKENS_OUT_MAX = 1_500
_TOKENS_THOUGHT_MAX = 6_000


@dataclass(frozen=True, slots=True)
class Writer:
    model: CatalogueModel
    endpoint: Endpoint
    kind: NoteWriter

    @property
    def tokens_out_max(self) -> int:
        return _TOKENS_OUT_MAX + (_TOKENS_THOUGHT_MAX if self.model.is_reasoning else 0)

    def options(self) -> dict[str, Any]:
        """Return the request's fields that depend on the model. No temperature: not every successor takes one."""
        thinking = {"reasoning_effort": "low"} if self.model.is_reasoning else {}
        return {"max_completion_tokens": self.tokens_out_max, "store": False, **thinking}


def writers(today: date) -> Iterator[Writer]:
    """Yield who can write, best first: the model of NOTES_MODEL or what stands in for it; the embedded one for want of
    a key."""
    if not settings.NOTES_API_KEY:
        for model in writers_of(EMBEDDED_CHAT, today):
            yield Writer(model, Endpoint(settings.LOCAL_MODELS_URL, ""), NoteWriter.EMBEDDED)
        return
    for model in writers_of(settings.NOTES_MODEL, today):
        if model.slug != EMBEDDED_CHAT:
            yield Writer(model, Endpoint(settings.NOTES_API_URL, settings.NOTES_API_KEY), NoteWriter.MODEL)
