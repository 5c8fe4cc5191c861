"""The Procfile: what a hosted installation is started by, and no other test starts."""

import shlex
from pathlib import Path

import pytest
from uvicorn.main import main as uvicorn_command

from launcher.run import Plan, web_command

PROCFILE = (Path(__file__).resolve().parents[2] / "Procfile").read_text(encoding="utf-8")


def options_of(words):
    return {word: after for word, after in zip(words, [*words[1:], ""], strict=True) if word.startswith("--")}


@pytest.fixture
def web():
    (line,) = [line for line in PROCFILE.splitlines() if line.startswith("web: ")]
    return options_of(shlex.split(line))


def test_uvicorn_knows_every_option_it_is_given(web):
    known = {name for parameter in uvicorn_command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(web) <= known


def test_a_process_that_is_slow_to_start_is_not_taken_for_one_that_hangs(web):
    # uvicorn's own is five seconds: on a machine under load it killed one healthy process after the other.
    assert int(web["--timeout-worker-healthcheck"]) >= 60


def test_a_run_on_one_machine_is_one_web_process(tmp_path):
    plan = Plan("127.0.0.1", 0, tmp_path, None, worker=False, server="uvicorn", has_openai_key=True, debug=False)
    assert options_of(web_command(plan))["--workers"] == "1"
