"""Arithmetic on the one audio format used inside Parley: 24 kHz mono PCM16, little endian."""

SAMPLE_RATE = 24_000
BYTES_PER_SAMPLE = 2
BYTES_PER_MS = SAMPLE_RATE * BYTES_PER_SAMPLE // 1000

# The published rates: a caller's audio counts 10 tokens a second, an assistant's 20.
BYTES_PER_INPUT_TOKEN = 1000 * BYTES_PER_MS // 10
BYTES_PER_OUTPUT_TOKEN = 1000 * BYTES_PER_MS // 20


def ms_of(n_bytes: int) -> int:
    """Whole milliseconds that n_bytes of audio last; a started millisecond does not count."""
    return n_bytes // BYTES_PER_MS


def bytes_of(ms: int) -> int:
    return ms * BYTES_PER_MS


def input_tokens_of(n_bytes: int) -> int:
    """Audio tokens of n_bytes said by a caller; a started token counts whole."""
    return -(-n_bytes // BYTES_PER_INPUT_TOKEN)


def output_tokens_of(n_bytes: int) -> int:
    """Audio tokens of n_bytes said by an assistant; a started token counts whole."""
    return -(-n_bytes // BYTES_PER_OUTPUT_TOKEN)
