"""kill -9 of the worker at every step of an auto top-up: the card is charged once and the credits come once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from billing.audit import audit_ledger
from outbox.models import OutboxMessage
from tests.billing.test_auto_top_up import (
    CREDITS,
    PRICE_MINOR,
    an_organisation_that_tops_up,
    balance,
    later,
    spend,
    states,
    use_bank,
)

HERE = Path(__file__).parent
REST = [
    "before the message is handed over",
    "before the charge",
    "before the attempt is closed",
    "before the message is done",
]
STEPS = ["after the charge", *(pytest.param(step, marks=pytest.mark.crash) for step in REST)]


@pytest.fixture
def thirsty(transactional_db, monkeypatch):
    """An organisation under its threshold, for whom nobody has done anything yet."""
    organisation = an_organisation_that_tops_up()
    monkeypatch.setattr("billing.watch.auto_top_up.consider", lambda organisation_id: None)
    spend(organisation, 60)
    monkeypatch.undo()
    return organisation


def run_until_killed(organisation, step, ledger_of_bank):
    database = str(connection.settings_dict["NAME"])
    command = [sys.executable, str(HERE / "top_up_that_dies.py"), database, str(organisation.id), step, ledger_of_bank]
    paths = [str(HERE.parent.parent), *sys.path]
    run = subprocess.run(
        command,
        cwd=HERE.parent.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.mark.db_concurrency
@pytest.mark.parametrize("step", STEPS)
def test_the_card_is_charged_once_and_the_credits_come_once(thirsty, step, tmp_path, monkeypatch):
    ledger_of_bank = tmp_path / "charges"
    ledger_of_bank.touch()
    run_until_killed(thirsty, step, str(ledger_of_bank))
    charged_before = ledger_of_bank.read_text().split("\n")[:-1]
    bank = use_bank(monkeypatch)
    later(hours=0.2)
    charges = {line.split()[0] for line in charged_before} | {str(purchase_id) for purchase_id in bank.charges}
    assert len(charges) == 1, "one purchase, whose id is the key that the bank knows a charge by"
    assert all(line.split()[1:] == [str(PRICE_MINOR), "USD"] for line in charged_before)
    assert (states(thirsty), balance(thirsty)) == (["succeeded"], 40 + CREDITS)
    assert not OutboxMessage.objects.exclude(state="done").exists()
    assert list(audit_ledger()) == []
