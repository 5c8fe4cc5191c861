"""Billing's answers to what happens in accounts: a wallet for each organisation, credits for each verified person."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver

from accounts.signals import organisation_created, person_verified
from billing import ledger
from billing.sign_up_grants import grant_sign_up_credits


@receiver(organisation_created, dispatch_uid="billing.open_wallet")
def open_its_wallet(*, organisation_id: UUID, **_: Any) -> None:
    ledger.open_wallet(organisation_id)


@receiver(person_verified, dispatch_uid="billing.grant_sign_up_credits")
def grant_credits_once(*, organisation_id: UUID, person_key: str, **_: Any) -> None:
    grant_sign_up_credits(organisation_id, person_key)
