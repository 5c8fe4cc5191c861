"""From the end of a caller's speech to the first sound of the answer, in a real Chromium, on the embedded models.

The whole product runs as `./parley run` starts it. A page speaks recorded sentences into its microphone and notes, on
one clock, when the last audible sample was said, what the server then told it, and when the answer could be heard.
"""

import base64
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.processes import ROOT, last_line
from bench.turns import Turn, turn_of
from launcher.machine import find_chromium, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_START_WITHIN_S = 240.0
_ANSWER_WITHIN_S = 30.0
_POLL_S = 0.02
# Nobody speaks into the last word of an answer.
_PAUSE_S = 0.8
# Turns that are tried and give no answer to time: the call ended, or the answer came before the end of speech.
_FAILED_TURNS_MAX = 10
_MICROPHONE = ROOT / "tests" / "browser" / "microphone.js"
_UTTERANCES = ROOT / "tests" / "data" / "utterances"
# A caller who books an appointment, answers what is asked and changes their mind; nobody says goodbye.
_SAID = ("u26", "u06", "u15", "u31", "u02", "u25", "u01")
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
)  # fmt: skip


@dataclass
class Turns:
    """What was measured, or why nothing was."""

    turns: list[Turn] = field(default_factory=list)
    remark: str = ""


def measure(wanted: int, folder: Path) -> Turns:
    """Time `wanted` turns."""
    chromium = find_chromium()
    if not chromium:
        return Turns(remark="not measured: Chromium was not found (set PARLEY_CHROMIUM to its path)")
    from playwright.sync_api import Error, sync_playwright

    try:
        with _product(folder) as url, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=list(_FLAGS))
            with contextlib.closing(browser):
                return _converse(browser, url, wanted)
    except (Error, NoAnswer, subprocess.SubprocessError) as problem:
        return Turns(remark=f"not measured: {str(problem).splitlines()[0]}")


class NoAnswer(Exception):
    """Something that was waited for did not happen; the text says what."""


@contextlib.contextmanager
def _product(folder: Path) -> Iterator[str]:
    """Run Parley with a database of its own and yield its address."""
    port, log = free_port("127.0.0.1"), folder / "run.log"
    with tempfile.TemporaryDirectory(prefix="parley-bench-voice-") as data_dir:
        environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
            "PORT": str(port),
            "LOCAL_MODELS_PORT": str(free_port("127.0.0.1")),
            "PARLEY_DATA_DIR": data_dir,
            "PARLEY_VENV": sys.prefix,
            # What .env says is for the installation: empty counts as not set.
            "OPENAI_API_KEY": "",
            "CALL_STARTS_PER_IP": "60/m",
        }
        with log.open("wb") as output:
            command = [sys.executable, str(ROOT / "parley"), "run"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            _wait(
                lambda: b"Parley is ready" in log.read_bytes() or process.poll() is not None, _START_WITHIN_S, "start"
            )
            if process.poll() is not None:
                raise NoAnswer(f"Parley did not start: {last_line(log)}")
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(30)


def _converse(browser: "Browser", url: str, wanted: int) -> Turns:
    measured, failed = Turns(), 0
    while len(measured.turns) < wanted and failed < _FAILED_TURNS_MAX:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(path=_MICROPHONE)
        context.add_init_script(path=Path(__file__).parent / "listening.js")
        with contextlib.closing(context):
            page = context.new_page()
            page.goto(url)
            _begin_call(page)
            for utterance in _SAID:
                if len(measured.turns) == wanted or page.evaluate("heard.isOver"):
                    break
                try:
                    measured.turns.append(_turn(page, utterance))
                except NoAnswer as problem:
                    failed += 1
                    measured.remark = f"Turns that gave nothing to time: {failed}, the last because {problem}."
    return measured


def _begin_call(page: "Page") -> None:
    part = "[data-parley-call] [data-role={}]"
    page.locator(part.format("primary")).click()
    explanation = page.locator(part.format("continue"))
    with contextlib.suppress(NoAnswer):
        _wait(explanation.is_visible, 3.0, "explanation")
        explanation.click()
    _wait(lambda: page.evaluate("heard.onsets.length") > 0, 2 * _ANSWER_WITHIN_S, "greeting")


def _turn(page: "Page", utterance: str) -> Turn:
    """Say a sentence when the assistant has finished; return how long each part of the answer took."""
    _wait_for_quiet(page)
    speech = base64.b64encode((_UTTERANCES / f"kokoro_af_heart_{utterance}.wav").read_bytes()).decode()
    page.evaluate("() => { heard.messages.length = heard.onsets.length = 0; }")
    said_at_ms = page.evaluate("speech => microphone.say(speech)", speech)
    _wait(lambda: page.evaluate("heard.onsets.length > 0 || heard.isOver"), _ANSWER_WITHIN_S, "answer")
    notes = page.evaluate("({ messages: heard.messages, onsets: heard.onsets })")
    turn = turn_of(said_at_ms, notes["messages"], notes["onsets"])
    if turn is None:
        raise NoAnswer(f"the assistant spoke before the caller had finished saying {utterance}")
    return turn


def _wait_for_quiet(page: "Page") -> None:
    script = f"performance.now() - heard.lastSoundAt > {_PAUSE_S * 1000}"
    listens = "document.querySelector('[data-parley-call]').dataset.state === 'listening'"
    _wait(lambda: page.evaluate(f"{script} && ({listens} || heard.isOver)"), 2 * _ANSWER_WITHIN_S, "silence")


def _wait(is_so: Callable[[], bool], within_s: float, what: str) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > until:
            raise NoAnswer(f"no {what} within {within_s:.0f} s")
        time.sleep(_POLL_S)
