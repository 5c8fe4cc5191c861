"""The catalogue a new installation starts with, as tables to be read and checked against the providers' pages.

Prices are OpenAI's list prices in millionths of a dollar per million units, as they stood in November 2026; names,
dates, limits and voices likewise. All of it is data from the first start on: the operator edits it in the admin.
"""

from dataclasses import dataclass
from datetime import date

from voice.catalogue.rate_card import Kind
from voice.models.catalogue import ModelKind

RATES_VALID_FROM = date(2026, 11, 1)
# A dollar is a hundred credits, and a call costs the list price and 35 % more: micro-credits a millionth of a dollar.
MICRO_PER_USD_MICRO = 135

EMBEDDED = "parley-embedded"
EMBEDDED_TRANSCRIBE = "parley-embedded-transcribe"
EMBEDDED_SPEECH = "parley-embedded-speech"
# The name under which the embedded models' server knows it.
EMBEDDED_CHAT = "parley-receptionist"

SPEECH_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
REALTIME_VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")

# bulbul:v3's, the first one its default.
SARVAM_VOICES = (
    "shubh", "aditya", "ritu", "priya", "neha", "rahul", "pooja", "rohan", "simran", "kavya", "amit", "dev", "ishita",
    "shreya", "ratan", "varun", "manan", "sumit", "roopa", "kabir", "aayan", "ashutosh", "advait", "anand", "tanya",
    "tarun", "sunny", "mani", "gokul", "vijay", "shruti", "suhani", "mohit", "kavitha", "rehan", "soham", "rupali",
)  # fmt: skip

AZURE = "Azure OpenAI"
SARVAM = "Sarvam"
SARVAM_TRANSCRIBE = "sarvam-saaras-v3"

_OLD_REALTIME_ENDS = date(2027, 1, 20)
_GPT_4_1_ENDS = date(2027, 1, 14)
_TTS_ENDS = date(2027, 1, 6)
_TRANSCRIBE_ENDS = date(2027, 2, 26)
# Azure keeps dates of its own.
_AZURE_MINI_ENDS = date(2027, 6, 15)


@dataclass(frozen=True, slots=True)
class SeedModel:
    slug: str
    name: str
    kind: str
    adapter: str = ""
    shutdown_on: date | None = None
    successor_slug: str = ""
    fallback_slugs: tuple[str, ...] = ()
    rated_as_slug: str = ""
    transcription_slug: str = ""
    context_tokens: int = 32_000
    max_output_tokens: int = 4_096
    sees_images: bool = False
    is_reasoning: bool = False
    voices: tuple[str, ...] = ()
    # A name in PROVIDERS; "": the built-in ones of the settings.
    provider: str = ""
    # "": the slug.
    provider_model: str = ""


@dataclass(frozen=True, slots=True)
class SeedProvider:
    """Without keys: until an operator types one, its models are not offered."""

    name: str
    adapter: str
    speech_url: str = ""
    speech_to_text_model: str = ""
    text_to_speech_model: str = ""


PROVIDERS = (
    # Its address is the operator's own resource.
    SeedProvider(AZURE, "azure_openai"),
    SeedProvider(SARVAM, "sarvam", "wss://api.sarvam.ai", "saaras:v3", "bulbul:v3"),
)


def _realtime(slug: str, name: str, fallbacks: tuple[str, ...], successor: str = "") -> SeedModel:
    """A model of the first family, which is being shut down, if it has a successor; of the reasoning family if not."""
    is_old = bool(successor)
    return SeedModel(
        slug=slug,
        name=name,
        kind=ModelKind.REALTIME,
        adapter="openai",
        shutdown_on=_OLD_REALTIME_ENDS if is_old else None,
        successor_slug=successor,
        fallback_slugs=(*fallbacks, EMBEDDED),
        transcription_slug="gpt-4o-mini-transcribe",
        context_tokens=32_000 if is_old else 128_000,
        max_output_tokens=4_096 if is_old else 32_000,
        sees_images=True,
        is_reasoning=not is_old,
        voices=REALTIME_VOICES,
    )


def _sarvam(slug: str, name: str, chat_model: str, successor: str = "") -> SeedModel:
    """Sarvam's ears and voice around a chat model of OpenAI's."""
    return SeedModel(
        slug=slug,
        name=name,
        kind=ModelKind.REALTIME,
        adapter="sarvam",
        shutdown_on=_GPT_4_1_ENDS if successor else None,
        successor_slug=successor,
        fallback_slugs=("gpt-realtime-2.1-mini", EMBEDDED),
        transcription_slug=SARVAM_TRANSCRIBE,
        is_reasoning=not successor,
        voices=SARVAM_VOICES,
        provider=SARVAM,
        provider_model=chat_model,
    )


def _transcription(slug: str, name: str, successor: str = "") -> SeedModel:
    ends = _TRANSCRIBE_ENDS if successor else None
    return SeedModel(slug, name, ModelKind.TRANSCRIPTION, shutdown_on=ends, successor_slug=successor)


MODELS = (
    _realtime(
        "gpt-realtime-mini", "GPT Realtime mini", ("gpt-realtime-2.1-mini",), successor="gpt-realtime-2.1-mini"
    ),
    _realtime("gpt-realtime", "GPT Realtime", ("gpt-realtime-2.1", "gpt-realtime-mini"), successor="gpt-realtime-2.1"),
    _realtime("gpt-realtime-2.1-mini", "GPT Realtime 2.1 mini", ("gpt-realtime-mini",)),
    _realtime("gpt-realtime-2.1", "GPT Realtime 2.1", ("gpt-realtime", "gpt-realtime-2.1-mini")),
    SeedModel(
        "azure-gpt-realtime-mini", "GPT Realtime mini at Azure", ModelKind.REALTIME, adapter="azure_openai",
        shutdown_on=_AZURE_MINI_ENDS, successor_slug="gpt-realtime-2.1-mini",
        fallback_slugs=("gpt-realtime-2.1-mini", "gpt-realtime-mini", EMBEDDED),
        transcription_slug="gpt-4o-mini-transcribe", sees_images=True, voices=REALTIME_VOICES, provider=AZURE,
        provider_model="gpt-realtime-mini",
    ),
    _sarvam("sarvam-gpt-4.1", "Sarvam with GPT-4.1", "gpt-4.1", successor="sarvam-gpt-6-luna"),
    _sarvam("sarvam-gpt-6-luna", "Sarvam with GPT-6 Luna", "gpt-6-luna"),
    SeedModel(
        SARVAM_TRANSCRIBE, "Sarvam Saaras v3", ModelKind.TRANSCRIPTION, provider=SARVAM, provider_model="saaras:v3"
    ),
    # Captions of a live call: of the two streaming successors, the one that takes turn detection and languages.
    _transcription("gpt-4o-mini-transcribe", "GPT-4o mini Transcribe", successor="gpt-live-transcribe"),
    _transcription("gpt-4o-transcribe", "GPT-4o Transcribe", successor="gpt-live-transcribe"),
    _transcription("whisper-1", "Whisper", successor="gpt-transcribe"),
    _transcription("gpt-transcribe", "GPT Transcribe"),
    _transcription("gpt-live-transcribe", "GPT Live Transcribe"),
    _transcription("gpt-realtime-whisper", "GPT Realtime Whisper"),
    SeedModel(
        "gpt-4.1", "GPT-4.1", ModelKind.CHAT, shutdown_on=_GPT_4_1_ENDS, successor_slug="gpt-6-luna",
        fallback_slugs=("gpt-6-luna", "gpt-4.1-mini"), context_tokens=1_047_576, max_output_tokens=32_768,
    ),
    SeedModel(
        "gpt-4.1-mini", "GPT-4.1 mini", ModelKind.CHAT, shutdown_on=_GPT_4_1_ENDS, successor_slug="gpt-6-luna",
        fallback_slugs=("gpt-6-luna",), context_tokens=1_047_576, max_output_tokens=32_768,
    ),
    # Its price doubles above 272 000 tokens of input; the limit keeps it below.
    SeedModel(
        "gpt-6-luna", "GPT-6 Luna", ModelKind.CHAT, context_tokens=272_000, max_output_tokens=32_768, is_reasoning=True
    ),
    # Needs no key and no network. Billed as the model it stands in for, so that a trial shows what calls will cost.
    SeedModel(
        EMBEDDED, "Parley's own model", ModelKind.REALTIME, adapter="pipeline", rated_as_slug="gpt-realtime-mini",
        transcription_slug=EMBEDDED_TRANSCRIBE,
    ),
    SeedModel(EMBEDDED_CHAT, "Parley's own text model", ModelKind.CHAT, rated_as_slug="gpt-4.1"),
    # By tokens, as what gpt-realtime-mini's calls use, and not per second: its usage is counted by the published rule
    # (ten tokens a second of speech), and a call must not cost more or less for being served by the stand-in.
    SeedModel(
        EMBEDDED_TRANSCRIBE, "Parley's own captions", ModelKind.TRANSCRIPTION, rated_as_slug="gpt-4o-mini-transcribe"
    ),
    # OpenAI has named no successor; what remains when it is gone is our own voice.
    SeedModel(
        "gpt-4o-mini-tts", "GPT-4o mini TTS", ModelKind.SPEECH, shutdown_on=_TTS_ENDS, successor_slug=EMBEDDED_SPEECH,
        fallback_slugs=(EMBEDDED_SPEECH,), voices=SPEECH_VOICES,
    ),
    SeedModel(EMBEDDED_SPEECH, "Parley's own voice", ModelKind.SPEECH, rated_as_slug="gpt-4o-mini-tts"),
)  # fmt: skip

_COLUMNS = (
    Kind.TEXT_IN, Kind.TEXT_CACHED_IN, Kind.TEXT_OUT, Kind.AUDIO_IN, Kind.AUDIO_CACHED_IN, Kind.AUDIO_OUT,
    Kind.IMAGE_IN, Kind.IMAGE_CACHED_IN, Kind.SECONDS,
)  # fmt: skip

# Millionths of a dollar per million tokens; per million seconds in the last column ($0.006 a minute is $100 a million).
# None: the model does not bill it. The models billed by tokens also have the price a minute that OpenAI publishes
# beside it, because the same event may report seconds instead.
# In the order of _COLUMNS.
_MINI = (600_000, 60_000, 2_400_000, 10_000_000, 300_000, 20_000_000, 800_000, 80_000, None)
_LARGE = (4_000_000, 400_000, 16_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000, None)
_LARGE_2 = (4_000_000, 400_000, 24_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000, None)
_PRICES: dict[str, tuple[int | None, ...]] = {
    "gpt-realtime-mini": _MINI,
    "azure-gpt-realtime-mini": _MINI,
    "gpt-realtime-2.1-mini": _MINI,
    "gpt-realtime": _LARGE,
    "gpt-realtime-2.1": _LARGE_2,
    "gpt-4.1": (2_000_000, 500_000, 8_000_000, None, None, None, None, None, None),
    "gpt-4.1-mini": (400_000, 100_000, 1_600_000, None, None, None, None, None, None),
    "gpt-6-luna": (100_000, 10_000, 500_000, None, None, None, None, None, None),
    "gpt-4o-transcribe": (2_500_000, None, 10_000_000, 2_500_000, None, None, None, None, 100_000_000),
    "gpt-4o-mini-transcribe": (1_250_000, None, 5_000_000, 1_250_000, None, None, None, None, 50_000_000),
    "gpt-4o-mini-tts": (600_000, None, None, None, None, 12_000_000, None, None, None),
    "whisper-1": (None, None, None, None, None, None, None, None, 100_000_000),
    "gpt-transcribe": (None, None, None, None, None, None, None, None, 75_000_000),
    "gpt-live-transcribe": (None, None, None, None, None, None, None, None, 283_333_334),
    "gpt-realtime-whisper": (None, None, None, None, None, None, None, None, 283_333_334),
}  # fmt: skip

# Sarvam's list is in rupees, as transcribed in September 2026: 30 for an hour of hearing, billed by the second, and 30
# for 10 000 characters spoken. At 88 rupees a dollar, rounded up.
_RUPEES_A_DOLLAR = 88
_HEARING_USD_MICRO = -(-30 * 10**12 // (3600 * _RUPEES_A_DOLLAR))
_SPEAKING_USD_MICRO = -(-30 * 10**12 // (10_000 * _RUPEES_A_DOLLAR))


def _sarvam_prices(text_in: int, text_cached: int, text_out: int) -> dict[Kind, int]:
    """The chat model's tokens and the voice's characters; what is counted as audio only when a usage never came.

    A second of speech is twenty tokens and hardly ever more than twenty characters, and what a caller said in a second
    is fewer tokens of text than its ten of audio: so estimates, and what is held before a response, are high enough.
    """
    return {
        Kind.TEXT_IN: text_in, Kind.TEXT_CACHED_IN: text_cached, Kind.TEXT_OUT: text_out, Kind.AUDIO_IN: text_in,
        Kind.AUDIO_CACHED_IN: text_cached, Kind.AUDIO_OUT: _SPEAKING_USD_MICRO, Kind.CHARACTERS: _SPEAKING_USD_MICRO,
    }  # fmt: skip


_SARVAM_PRICES = {
    "sarvam-gpt-4.1": _sarvam_prices(2_000_000, 500_000, 8_000_000),
    "sarvam-gpt-6-luna": _sarvam_prices(100_000, 10_000, 500_000),
    SARVAM_TRANSCRIBE: {Kind.SECONDS: _HEARING_USD_MICRO},
}

# The published sheet of the default model: round numbers instead of the list price and 35 % more.
_PUBLISHED_MICRO = {
    ("gpt-realtime-mini", Kind.AUDIO_IN): 1500 * 1_000_000,
    ("gpt-realtime-mini", Kind.AUDIO_OUT): 3000 * 1_000_000,
}


@dataclass(frozen=True, slots=True)
class SeedRate:
    slug: str
    kind: Kind
    micro_per_million: int
    list_price_usd_micro_per_million: int


_BY_SLUG = {slug: dict(zip(_COLUMNS, prices, strict=True)) for slug, prices in _PRICES.items()} | _SARVAM_PRICES
RATES = tuple(
    SeedRate(slug, kind, _PUBLISHED_MICRO.get((slug, kind), usd_micro * MICRO_PER_USD_MICRO), usd_micro)
    for slug, prices in _BY_SLUG.items()
    for kind, usd_micro in prices.items()
    if usd_micro is not None
)
