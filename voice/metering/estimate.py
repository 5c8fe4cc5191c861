"""What a response must have used whose usage never came, told from what of it was delivered."""

from voice.audio import output_tokens_of
from voice.metering.usage import Kind, Quantities

# English has about four characters a token; three, so that other languages are not undercounted by much.
_CHARS_PER_TOKEN = 3

_CACHED = {
    Kind.TEXT_IN: Kind.TEXT_CACHED_IN,
    Kind.TEXT_CACHED_IN: Kind.TEXT_CACHED_IN,
    Kind.AUDIO_IN: Kind.AUDIO_CACHED_IN,
    Kind.AUDIO_CACHED_IN: Kind.AUDIO_CACHED_IN,
    Kind.IMAGE_IN: Kind.IMAGE_CACHED_IN,
    Kind.IMAGE_CACHED_IN: Kind.IMAGE_CACHED_IN,
}


def estimated_quantities(last: Quantities, *, context_tokens: int, audio_bytes: int, text_chars: int) -> Quantities:
    """Return what was produced, and what had to be read for it; empty when nothing was delivered.

    `last` is what the response before it used: the provider had that input cached. The rest of the context is new,
    and audio if any of the conversation was; before the first response there are only instructions, which are text.
    """
    output = {Kind.AUDIO_OUT: output_tokens_of(audio_bytes), Kind.TEXT_OUT: -(-text_chars // _CHARS_PER_TOKEN)}
    if not any(output.values()):
        return {}
    read: Quantities = {}
    for kind, cached in _CACHED.items():
        read[cached] = read.get(cached, 0) + last.get(kind, 0)
    is_audio = any("audio" in kind for kind in last)
    new = Kind.AUDIO_IN if is_audio else Kind.TEXT_IN
    read[new] = max(0, context_tokens - sum(read.values()))
    return {kind: quantity for kind, quantity in (read | output).items() if quantity}
