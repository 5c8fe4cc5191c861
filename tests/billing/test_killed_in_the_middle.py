"""kill -9 of a process with calls in progress: the sweep settles each of them once, and no charge is lost."""

import os
import random
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection

from billing import ledger
from billing.models import Capture, Entry, Hold
from tests.billing.money import LATER, balance, give

HERE = Path(__file__).parent
START = 10**9


def run_and_kill(organisation, after_lines):
    """Start a caller, kill it once it has reported so many captures, and return all that it reported."""
    database = str(connection.settings_dict["NAME"])
    process = subprocess.Popen(
        [sys.executable, str(HERE / "caller_that_dies.py"), database, str(organisation.id)],
        cwd=HERE.parent.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        lines = [process.stdout.readline() for _ in range(after_lines)]
        process.kill()
        lines += process.stdout.readlines()
    # The last line may have been cut by the kill itself.
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.crash)])
def test_the_sweep_settles_the_calls_of_a_killed_process_exactly_once(alice, kills):
    give(alice, START)
    reported = []
    for after_lines in random.Random(7).sample(range(3, 40), kills):
        reported += run_and_kill(alice, after_lines)
        ledger.expire_holds(LATER)
        assert ledger.expire_holds(LATER) == []
    assert len(reported) >= 3 * kills
    for hold_id, key, amount in reported:
        assert Capture.objects.get(hold_id=UUID(hold_id), key=key).captured_micro == int(amount)
    assert not Hold.objects.filter(status="open").exists()
    captured_micro = sum(capture.captured_micro for capture in Capture.objects.all())
    assert captured_micro == -sum(entry.amount_micro for entry in Entry.objects.filter(kind="usage"))
    assert balance(alice) == (100 + START - captured_micro, 0, 100 + START - captured_micro)
