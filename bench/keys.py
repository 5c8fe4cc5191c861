"""A customer with an API key and more credits than a bench can spend, made by the operator's own commands."""

import subprocess
import sys
from collections.abc import Mapping

from bench.processes import ROOT, NotStarted

_NAME = "bench"
_CREDITS = "100000000"
_WITHIN_S = 60.0


def api_key(environment: Mapping[str, str]) -> str:
    """Return a new key's text; raises NotStarted."""
    _manage(environment, "create_organisation", "--name", _NAME, "--slug", _NAME)
    _manage(environment, "grant_credits", _NAME, _CREDITS, "--reason", "for the bench")
    return _manage(environment, "create_api_key", "--organisation", _NAME, "--name", _NAME).splitlines()[0]


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_WITHIN_S)
    if done.returncode != 0:
        raise NotStarted(f"'manage.py {arguments[0]}' failed: {done.stderr.strip()[-400:]}")
    return done.stdout.strip()
