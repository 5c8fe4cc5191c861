"""Rounds on one database: start a web server, let callers talk, end it in the middle, sweep, and read the books.

`python -m tests.crash.campaign --name sqlite --seconds 60 --seed 1` prints its progress on stderr and, as one line of
JSON on stdout, a row for each server and signal. Its settings are in its environment (tests/crash/__main__.py).
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from channels.db import database_sync_to_async as in_thread  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from tests import factories  # noqa: E402
from tests.crash.callers import TalkativeCaller  # noqa: E402
from tests.crash.findings import findings  # noqa: E402
from tests.crash.model import CountingModel  # noqa: E402
from tests.crash.sweeping import sweep_twice_at_once  # noqa: E402
from tests.crash.web_process import WebProcess  # noqa: E402
from voice.admission.admit import CallRequest, admit  # noqa: E402
from voice.admission.captcha_memory import PersonCheck  # noqa: E402
from voice.metering.sweep import settle_dead_sessions  # noqa: E402
from voice.models import Agent, EndReason, Session, SessionState, UsageRecord  # noqa: E402

CALLS = 6
ROUNDS_AT_LEAST = 2
# From the first connection to the signal: at one end nobody has been greeted, at the other there were many answers.
ENDS_AFTER_S = (0.15, 2.5)
CALLERS_GONE_WITHIN_S = 20


@dataclass
class Row:
    """What came of one server ended by one signal."""

    database: str
    server: str
    signal: str
    rounds: int = 0
    calls: int = 0
    in_mid_answer: int = 0
    answers: int = 0
    settled_by_server: int = 0
    settled_by_sweep: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--name", required=True)
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    options = arguments.parse_args()
    call_command("migrate", verbosity=0)
    call_command("seed", stdout=sys.stderr)
    agent, member = _cast()
    rows = asyncio.run(Campaign(options.name, agent, member, random.Random(options.seed)).run(options.seconds))
    connections.close_all()
    print(json.dumps([asdict(row) for row in rows]))


def _cast():
    member = factories.make_user("alice@example.com")
    organisation = factories.make_organisation("Rosewood Dental", member, credits=100_000)
    return factories.make_agent(organisation, silence_timeout_s=60), member


class Campaign:
    def __init__(self, name, agent: Agent, member, rng: random.Random) -> None:
        self._name, self._agent, self._member, self._rng = name, agent, member, rng
        self._data_dir = Path(settings.DATA_DIR)

    async def run(self, seconds: float) -> list[Row]:
        rows = [
            Row(self._name, server, number) for server in ("daphne", "uvicorn") for number in ("SIGKILL", "SIGTERM")
        ]
        deadline = time.monotonic() + seconds
        async with CountingModel(settings.SECRET_KEY) as model:
            self._model = model
            # In turn, so that a slow machine plays fewer rounds of each.
            while rows[-1].rounds < ROUNDS_AT_LEAST or time.monotonic() < deadline:
                for row in rows:
                    for _ in range(2 if row.signal == "SIGKILL" else 1):
                        await self._round(row)
        return rows

    async def _round(self, row: Row) -> None:
        callers = [await in_thread(self._admitted)() for _ in range(CALLS)]
        env = os.environ | {"OPENAI_API_KEY": self._model.api_key, "OPENAI_REALTIME_URL": self._model.url}
        web = WebProcess(row.server, self._data_dir, env)
        await asyncio.to_thread(web.__enter__)
        try:
            problems = await self._play(row, web, callers)
        finally:
            await asyncio.to_thread(web.__exit__)
        await self._sweep_and_read(row, callers, problems)
        print(f"  {self._name} {row.server} {row.signal} round {row.rounds}: {len(problems)} problems", file=sys.stderr)

    async def _play(self, row: Row, web: WebProcess, callers: list[TalkativeCaller]) -> list[str]:
        """Let them talk, end the server, and return what was wrong until then."""
        problems = []
        calls = [asyncio.create_task(caller.call(web.websocket_url, web.origin)) for caller in callers]
        ends_after_s = self._rng.uniform(*ENDS_AFTER_S)
        await asyncio.sleep(ends_after_s / 2)
        if await in_thread(settle_dead_sessions)(timezone.now()):
            problems.append("the sweep took a call that was alive")
        await asyncio.sleep(ends_after_s / 2)
        row.in_mid_answer += sum(caller.is_hearing for caller in callers)
        if not await asyncio.to_thread(web.end, signal.Signals[row.signal]):
            problems.append("the server did not stop when it was asked to")
        _, still_talking = await asyncio.wait(calls, timeout=CALLERS_GONE_WITHIN_S)
        if still_talking:
            problems.append(f"{len(still_talking)} callers were not told that the call is over")
        for call in still_talking:
            call.cancel()
        return problems

    async def _sweep_and_read(self, row: Row, callers: list[TalkativeCaller], problems: list[str]) -> None:
        ids = [caller.session_id for caller in callers]
        row.settled_by_server += await in_thread(_count_ended)(ids)
        swept = await asyncio.to_thread(sweep_twice_at_once)
        row.settled_by_sweep += swept
        problems += await in_thread(findings)(callers, self._model, row.signal)
        if await in_thread(settle_dead_sessions)(timezone.now() + timedelta(hours=2)):
            problems.append("a later sweep found something to settle")
        row.answers += await in_thread(_count_answers)(ids)
        row.rounds += 1
        row.calls += len(callers)
        row.failed += bool(problems)
        row.problems += [f"round {row.rounds}: {problem}" for problem in problems]

    def _admitted(self) -> TalkativeCaller:
        """A member's call, which needs no CAPTCHA, with its ticket."""
        # Each from an address of its own: attempts are limited by address, and the limit is not a setting.
        client_ip = f"10.{self._rng.randrange(256)}.{self._rng.randrange(256)}.{self._rng.randrange(256)}"
        call = CallRequest(
            agent_key=self._agent.public_key,
            user=self._member,
            client_ip=client_ip,
            origin="http://127.0.0.1:8000",
            scheme="http",
            host="127.0.0.1:8000",
            person=PersonCheck(payload="", cookie="", client_ip=client_ip),
        )
        admission = admit(call)
        return TalkativeCaller(str(admission.session.id), admission.ticket)


def _count_ended(ids: list[str]) -> int:
    return (
        Session.objects.filter(id__in=ids, state=SessionState.ENDED).exclude(end_reason=EndReason.PROCESS_DIED).count()
    )


def _count_answers(ids: list[str]) -> int:
    return UsageRecord.objects.filter(session_id__in=ids, source="response").count()


if __name__ == "__main__":
    main()
