"""The demo on the front page: the house organisation, its finite wallet, and the one agent that anyone may try."""

from contextlib import suppress

from django.conf import settings
from django.db import transaction

from accounts.models import Organisation
from accounts.organisations import create_organisation
from billing import ledger
from billing.exceptions import KeyReused
from voice.agents import TEMPLATES, create_agent
from voice.models import Agent, Template

HOUSE_NAME = "Parley demo"
_CALL_MAX_S = 300


def seed_demo() -> tuple[Agent, bool]:
    """Make what is missing of the demo; returns its agent, and whether that is new.

    An operator's changes stay, and the wallet is filled once: when it is empty the front page says so.
    """
    with transaction.atomic():
        house = Organisation.objects.filter(is_house=True).order_by("created_at").first()
        house = house or create_organisation(HOUSE_NAME, None, is_house=True)
        _fill_once(house)
        agent = Agent.objects.filter(is_demo=True).first()
        if agent is not None:
            return agent, False
        return create_agent(house, _demo_fields()), True


def _fill_once(house: Organisation) -> None:
    amount_micro = settings.HOUSE_CREDITS * ledger.MICRO
    # HOUSE_CREDITS may have changed since: what was granted first stays.
    with suppress(KeyReused):
        if amount_micro:
            ledger.grant(house.pk, amount_micro, key="house:initial", description="Credits of the demo")


def _demo_fields() -> dict[str, object]:
    house_micro = settings.HOUSE_CREDITS * ledger.MICRO
    return {
        **TEMPLATES[Template.APPOINTMENT].draft(),
        "name": "Rosewood Dental",
        "is_public": True,
        "is_demo": True,
        "max_duration_s": _CALL_MAX_S,
        # One busy day shall not use up what is there for many.
        "daily_ceiling_micro": house_micro // 5,
    }
