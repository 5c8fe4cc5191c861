"""Agents: the templates that new ones start from, and the rules about making, changing and pausing them."""

import re
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from accounts.models import Organisation
from voice.models import Agent, Template
from voice.sessions.tools import END_CALL, REQUEST_CALLBACK

log = structlog.get_logger(__name__)

MOST_AGENTS = 50
# What a caller can be asked for in one call: they lose patience long before more.
MOST_COLLECTED = 10
COLLECTED_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_DESCRIPTION = 200
# The tools every assistant has; a task of the same name would hide one of them.
TAKEN_TASK_NAMES = frozenset({END_CALL, REQUEST_CALLBACK})


class TooManyAgents(Exception):
    """The organisation has MOST_AGENTS agents already."""


@dataclass(frozen=True, slots=True)
class AgentTemplate:
    """What a new agent begins as; `collects` is (name, description) in the order of asking.

    `business` is the example's name, which gives way to that of the organisation.
    """

    kind: Template
    summary: str
    name: str
    business: str
    greeting: str
    instructions: str
    collects: tuple[tuple[str, str], ...] = ()
    task_name: str = ""
    silence_timeout_s: int = 20
    # The embedded model reads facts and steps; it cannot hold a free conversation.
    needs_real_model: bool = False

    @property
    def title(self) -> str:
        return str(self.kind.label)

    @property
    def is_limited_here(self) -> bool:
        return self.needs_real_model and not settings.OPENAI_API_KEY

    def draft(self, business: str = "") -> dict[str, Any]:
        """Return the fields of an agent made from this template, of `business` rather than the example's."""
        business = business or self.business
        return {
            "template": self.kind,
            "name": self.name,
            "greeting": self.greeting.replace(self.business, business),
            "instructions": self.instructions.replace(self.business, business),
            "collects": [{"name": name, "description": description} for name, description in self.collects],
            "task_name": self.task_name,
            "model_slug": settings.DEFAULT_REALTIME_MODEL,
            "silence_timeout_s": self.silence_timeout_s,
        }


_APPOINTMENT = """\
You are the receptionist at Rosewood Dental, a small dental practice. You are friendly, brief and precise.

Your task is to book an appointment. Ask for the caller's name, their address, and the day and time they would like, \
one thing at a time. Read everything back, and book only once the caller has said that it is right. If they \
correct something, change it and read it back again.
Answer questions from the facts below. If you do not know, say so and offer a call back. If the caller describes \
an emergency, such as bleeding that does not stop, tell them to ring the emergency number at once.

Business: Rosewood Dental
Opening hours: Monday to Thursday 9am-6pm, Friday 9am-4pm, Saturday 10am-1pm, closed Sunday
Address: 14 Orchard Street, two doors from the library
Parking: There is free parking behind the building
Prices: A check-up is $60, a cleaning is $90, and a filling starts at $140

Q: Do you see children?
A: Yes, from the age of three, and the first visit is free.
Q: Do you take insurance?
A: We take most dental plans. Bring your card and we will do the paperwork.
Q: How do I cancel or move an appointment?
A: Call us at least a day before and there is no charge.
Q: How long does a check-up take?
A: About thirty minutes.
"""

_FAQ = """\
You answer questions for customers of Fern and Field, a garden shop. You are warm and come to the point.

Answer from the facts below, in one or two sentences. If you do not find the answer there, say so and offer that \
somebody calls back. Never guess a price or a date.

Business: Fern and Field
Opening hours: Tuesday to Friday 10am-6pm, Saturday 9am-5pm, closed Sunday and Monday
Address: 3 Mill Lane, next to the canal
Phone: 555 0142
Delivery: We deliver on Thursdays within ten miles, for $8, and free from $75 upwards
Prices: Herbs are $4 each, roses start at $18, and a bag of compost is $9

Q: Can I return a plant?
A: Yes, within fourteen days with the receipt, if it is still healthy.
Q: Do you plant for customers?
A: Yes, from March to October. Planting costs $35 an hour.
Q: Do you have gift cards?
A: Yes, for any amount from $10. They never expire.
Q: Are dogs welcome?
A: Very much so, on a lead.
"""

_TROUBLESHOOTING = """\
You help customers of Harbour Broadband to get back online. You are patient and never blame the caller.

Take the caller through the steps below, one at a time. Wait until they say that they have done it before you go on, \
and ask whether it works again. Do not go on once it does. Offer that a technician calls back if no step has helped, \
and take a number.

Business: Harbour Broadband
Opening hours: Monday to Saturday 8am-8pm, closed Sunday

If the internet does not work:
1. Look at the router. Is the light marked Internet green, red or off?
2. Unplug the router's power cable and leave it out for thirty seconds.
3. Plug it back in and wait two minutes, until the lights stop blinking.
4. Check that the grey cable between the router and the wall sits firmly at both ends.
5. Turn the Wi-Fi on your device off and on again, and choose your own network.

If the Wi-Fi is slow:
1. Stand in the same room as the router and try once more.
2. Close what is downloading or streaming on other devices.
3. Restart the router: power off, thirty seconds, power on.

Q: Is there an outage?
A: There is no outage that we know of right now.
Q: What does a technician's visit cost?
A: Nothing, if the fault is on our side. Otherwise it is $45.
"""

_LANGUAGE_PRACTICE = """\
You are a language partner for somebody who is learning English. You are cheerful, patient and curious.

Keep up an easy conversation about everyday life: food, work, travel, weekends. Use short sentences and common words. \
Ask one open question at a time and leave room for a long answer. Respond to what the learner said before you correct \
it, then say the sentence the right way once, and go on. Only explain a rule if they ask. If they are stuck, offer two \
words to choose from. After about five minutes, name one thing that they did well and one to practise.

Use another language if the learner asks for it.
"""

TEMPLATES: dict[str, AgentTemplate] = {
    each.kind: each
    for each in (
        AgentTemplate(
            kind=Template.APPOINTMENT,
            summary="Takes a name, an address and a time, reads them back and books.",
            name="Reception",
            business="Rosewood Dental",
            greeting="Hello, this is Rosewood Dental. Would you like to book an appointment?",
            instructions=_APPOINTMENT,
            collects=(
                ("name", "the caller's full name"),
                ("address", "the caller's street address"),
                ("time", "the day and time of the appointment"),
            ),
            task_name="book_appointment",
        ),
        AgentTemplate(
            kind=Template.FAQ,
            summary="Answers from the facts you write down, and says so when it does not know.",
            name="Shop desk",
            business="Fern and Field",
            greeting="Hello, Fern and Field, what would you like to know?",
            instructions=_FAQ,
        ),
        AgentTemplate(
            kind=Template.TROUBLESHOOTING,
            summary="Walks the caller through numbered steps, one at a time, until it works.",
            name="Support",
            business="Harbour Broadband",
            greeting="Hello, Harbour Broadband support. What is not working?",
            instructions=_TROUBLESHOOTING,
            # Somebody who is looking for a cable says nothing for a while.
            silence_timeout_s=60,
        ),
        AgentTemplate(
            kind=Template.LANGUAGE_PRACTICE,
            summary="Holds a free conversation at the learner's pace and corrects gently.",
            name="Practice partner",
            business="the language school",
            greeting="Hi! Nice to meet you. How was your day so far?",
            instructions=_LANGUAGE_PRACTICE,
            silence_timeout_s=40,
            needs_real_model=True,
        ),
    )
}


def create_agent(organisation: Organisation, fields: dict[str, Any]) -> Agent:
    """Make an agent from validated fields. Raises TooManyAgents."""
    with transaction.atomic():
        Organisation.objects.select_for_update().get(pk=organisation.pk)
        if organisation.agents.count() >= MOST_AGENTS:
            raise TooManyAgents
        agent = Agent.objects.create(organisation=organisation, **fields)
    log.info("agent created", agent_id=str(agent.pk), organisation_id=str(organisation.pk), template=agent.template)
    return agent


def change_agent(agent: Agent, fields: dict[str, Any]) -> None:
    """Give an agent validated fields; calls that are live go on with what they began with."""
    for name, value in fields.items():
        setattr(agent, name, value)
    agent.save(update_fields=[*fields, "updated_at"])


def pause_agent(agent: Agent) -> None:
    """Let no new call reach the agent."""
    change_agent(agent, {"is_active": False})


def resume_agent(agent: Agent) -> None:
    change_agent(agent, {"is_active": True})
