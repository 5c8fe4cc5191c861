"""The embedded models: their names in the catalogue, and on the server that they run in (local_models/)."""

from voice.catalogue.seed_data import EMBEDDED, EMBEDDED_CHAT, EMBEDDED_SPEECH, EMBEDDED_TRANSCRIBE
from voice.models.catalogue import ModelKind

__all__ = ["EMBEDDED_SLUGS", "EMBEDDED_VOICE", "NAME_THERE", "SLUG_OF_KIND"]

SLUG_OF_KIND = {
    ModelKind.CHAT: EMBEDDED_CHAT,
    ModelKind.TRANSCRIPTION: EMBEDDED_TRANSCRIBE,
    ModelKind.SPEECH: EMBEDDED_SPEECH,
}
EMBEDDED_SLUGS = frozenset({EMBEDDED, *SLUG_OF_KIND.values()})
NAME_THERE = {
    ModelKind.CHAT: "parley-receptionist",
    ModelKind.TRANSCRIPTION: "moonshine-tiny-en",
    ModelKind.SPEECH: "piper-joe",
}
EMBEDDED_VOICE = "joe"
