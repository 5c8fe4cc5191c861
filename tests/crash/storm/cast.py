"""Who calls whom in a storm, and the catalogue they call by: two providers of voices, and one that writes."""

from dataclasses import dataclass

from accounts.models import User
from tests import factories
from voice.admission.admit import CallRequest, admit
from voice.admission.captcha_memory import PersonCheck
from voice.models import Agent, CatalogueModel, Provider
from voice.models.catalogue import ModelKind

# The second is the first one's fallback; the third is TEXT_FALLBACK_MODEL.
FIRST, SECOND, TEXT = "storm-first", "storm-second", "storm-text"
KEYS = {FIRST: "sk-storm-first-3f9c", SECOND: "sk-storm-second-a1d7", TEXT: "sk-storm-text-77be"}
_CREDITS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cast:
    """An agent for each caller, whose number its instructions hold, and the member who calls them."""

    member: User
    agents: list[Agent]

    def admit(self, number: int, origin: str) -> tuple[str, str]:
        """Admit a call of caller `number` (from 1); return its session's id and its ticket."""
        scheme, _, host = origin.partition("://")
        client_ip = f"10.7.{number}.1"
        call = CallRequest(
            agent_key=self.agents[number - 1].public_key,
            user=self.member,
            client_ip=client_ip,
            origin=origin,
            scheme=scheme,
            host=host,
            person=PersonCheck(payload="", cookie="", client_ip=client_ip),
        )
        admission = admit(call)
        return str(admission.session.id), admission.ticket


def make_cast(callers: int, *, first_url: str, second_url: str, text_url: str) -> Cast:
    _realtime(FIRST, first_url, [SECOND])
    _realtime(SECOND, second_url, [FIRST])
    provider = Provider.objects.create(name=TEXT, adapter="openai", base_url=text_url, api_key=KEYS[TEXT])
    CatalogueModel.objects.create(
        slug=TEXT, name="Storm's writer", kind=ModelKind.CHAT, provider=provider, provider_model=TEXT,
        rated_as_slug="gpt-4.1",
    )  # fmt: skip
    member = factories.make_user("alice@example.com")
    organisation = factories.make_organisation("Rosewood Dental", member, credits=_CREDITS)
    agents = [
        factories.make_agent(
            organisation, name=f"Reception {number}", model_slug=FIRST, silence_timeout_s=60, collects=[],
            instructions=f"You answer the telephone of a greengrocer. Caller number {number}.",
        )
        for number in range(1, callers + 1)
    ]  # fmt: skip
    return Cast(member, agents)


def _realtime(slug: str, url: str, fallbacks: list[str]) -> None:
    provider = Provider.objects.create(name=slug, adapter="openai", base_url=url, api_key=KEYS[slug])
    CatalogueModel.objects.create(
        slug=slug, name=slug.replace("-", " ").capitalize(), kind=ModelKind.REALTIME, adapter="openai",
        provider=provider, provider_model=slug, fallback_slugs=fallbacks, rated_as_slug="gpt-realtime-mini",
        transcription_slug="gpt-4o-mini-transcribe",
    )  # fmt: skip
