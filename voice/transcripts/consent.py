"""Whether a call's words may be kept: what the owner chose, what the caller is asked, and what the answer means."""

from dataclasses import dataclass
from datetime import datetime

from voice.models import Agent, Session, TranscriptPolicy
from voice.transcripts.rules import rules_of

# A wording is never changed: a new one gets a new name, so that a version tells what a caller was shown. That is why
# these stand here and not among the words of the page (voice/words).
_ASK = (
    "May {business} keep this conversation in writing? Software may sum it up, and it may be passed on to the systems "
    "{business} works with. It is deleted after {days}, or earlier if you ask. The call is the same if you say no."
)
_NOTICE = (
    "This conversation is kept in writing by {business}. Software may sum it up, and it may be passed on to the "
    "systems {business} works with. It is deleted after {days}, or earlier if you ask. Please go on only if you agree."
)
_ASK_HI = (
    "क्या {business} इस बातचीत को लिखित रूप में सहेज सकता है? सॉफ़्टवेयर इसका सार बना सकता है, और इसे उन प्रणालियों को "
    "भेजा जा सकता है जिनके साथ {business} काम करता है। इसे {days} के बाद, या आपके कहने पर उससे पहले, मिटा दिया जाता है। "
    "मना करने पर भी कॉल वैसी ही रहेगी।"
)
_NOTICE_HI = (
    "{business} इस बातचीत को लिखित रूप में सहेजता है। सॉफ़्टवेयर इसका सार बना सकता है, और इसे उन प्रणालियों को "
    "भेजा जा सकता है जिनके साथ {business} काम करता है। इसे {days} के बाद, या आपके कहने पर उससे पहले, मिटा दिया जाता है। "
    "सहमत हों तभी आगे बढ़ें।"
)
_DEFAULT_LANGUAGE = "en"
_DAYS = {"en": ("a day", "{count} days"), "hi": ("1 दिन", "{count} दिन")}
# By what the owner chose and the caller's language: the wording's name and its text.
_TEXTS = {
    TranscriptPolicy.ASK: {"en": ("ask-1", _ASK), "hi": ("ask-1-hi", _ASK_HI)},
    TranscriptPolicy.ALWAYS: {"en": ("notice-1", _NOTICE), "hi": ("notice-1-hi", _NOTICE_HI)},
}


@dataclass(frozen=True, slots=True)
class Wording:
    """What a caller is shown before the microphone. Both are empty where nothing is kept."""

    text: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a session keeps of the question: `answer` is None where the caller was not asked, or did not say."""

    policy: str
    answer: bool | None = None
    version: str = ""
    at: datetime | None = None


def wording_of(agent: Agent, language: str = "") -> Wording:
    """Return today's question or notice of an agent whose organisation is at hand.

    In the language of a tag such as hi-IN, by default the agent's; in English where there is none in it.
    """
    if agent.transcript_policy not in _TEXTS:
        return Wording()
    texts = _TEXTS[TranscriptPolicy(agent.transcript_policy)]
    spoken = (language or agent.language).partition("-")[0].lower()
    known = spoken if spoken in texts else _DEFAULT_LANGUAGE
    name, text = texts[known]
    kept_days = rules_of(agent.organisation_id).kept_days
    one, other = _DAYS[known]
    days = one if kept_days == 1 else other.format(count=kept_days)
    return Wording(text.format(business=agent.organisation.name, days=days), f"{name}/{kept_days}d")


def consent_of(agent: Agent, answer: bool | None, seen_version: str, now: datetime) -> Consent:
    """Return what a caller's answer amounts to.

    A yes to another wording than today's is a no: that page was loaded before the rules changed. A client that names
    no version was built upon the agent's own facts, which carry today's. A notice is agreed to by going on (`answer`
    True); without that nobody says that it was shown, and nothing is kept.
    """
    if agent.transcript_policy not in _TEXTS or answer is None:
        return Consent(agent.transcript_policy)
    seen = seen_version or wording_of(agent).version
    languages = _TEXTS[TranscriptPolicy(agent.transcript_policy)]
    is_current = any(seen == wording_of(agent, language).version for language in languages)
    return Consent(agent.transcript_policy, answer and is_current, seen, now)


def words_may_be_kept(consent: Consent) -> bool:
    return consent.policy != TranscriptPolicy.NEVER and consent.answer is True


def records_words(session: Session) -> bool:
    """Say whether what is said in this session may be kept."""
    return session.transcript_policy != TranscriptPolicy.NEVER and session.consent is True


def kept_days_promised(session: Session) -> int | None:
    """Return for how many days the caller was told that their words are kept; None for a version that does not say."""
    days = session.consent_version.rpartition("/")[2].removesuffix("d")
    return int(days) if days.isascii() and days.isdigit() else None
