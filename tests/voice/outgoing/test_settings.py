"""The settings that open this machine to customers' addresses, and encrypt their secrets, refuse what is unsafe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def start_with(tmp_path, **settings):
    environment = {**os.environ, "PARLEY_DATA_DIR": str(tmp_path), "DEBUG": "false", **settings}
    command = [sys.executable, "-c", "from config import settings; print(settings.OUTGOING_ALLOW_PRIVATE)"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_this_machine_is_out_of_reach_by_default(tmp_path):
    assert start_with(tmp_path).stdout.strip() == "False"


def test_a_developers_machine_may_reach_itself(tmp_path):
    assert start_with(tmp_path, DEBUG="true").stdout.strip() == "True"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"OUTGOING_ALLOW_PRIVATE": "true"}, "it needs DEBUG"),
        ({"ENCRYPTION_KEYS": "short"}, "32 characters"),
        ({"ENCRYPTION_KEYS": f"{'long enough ' * 4},short"}, "32 characters"),
    ],
)
def test_an_unsafe_setting_stops_the_process(tmp_path, settings, reason):
    run = start_with(tmp_path, **settings)
    assert run.returncode != 0 and reason in run.stderr
