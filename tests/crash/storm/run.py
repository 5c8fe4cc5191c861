"""The storm: twenty live calls while everything around them breaks, and then a look at the books.

`python -m tests.crash.storm.run --seconds 100 --seed 1 --folder DIR` prints its progress on stderr and, as one line of
JSON on stdout, the table, what was wrong and what was counted. Its settings are in its environment
(tests/crash/__main__.py); the processes it breaks are its own.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from tests.crash.storm import table  # noqa: E402
from tests.crash.storm.books import Books, as_facts, problems_of_logs  # noqa: E402
from tests.crash.storm.callers import QUESTION, CallOfCaller, StormCaller  # noqa: E402
from tests.crash.storm.cast import FIRST, KEYS, SECOND, TEXT, Cast, make_cast  # noqa: E402
from tests.crash.storm.chat import WORDS, ChatProvider  # noqa: E402
from tests.crash.storm.faults import Faults  # noqa: E402
from tests.crash.storm.network import Network  # noqa: E402
from tests.crash.storm.provider import ANSWER, HEARD, Accounts, Provider  # noqa: E402
from tests.crash.storm.services import Redis, Service, worker  # noqa: E402
from tests.crash.storm.waits import Waits  # noqa: E402
from tests.crash.sweeping import sweep_twice_at_once  # noqa: E402
from tests.crash.web_process import WebProcess  # noqa: E402
from voice.metering.sweep import settle_dead_sessions  # noqa: E402

CALLERS = 20
PROCESSES = 2
ALL_TALK_WITHIN_S, HANGS_UP_WITHIN_S = 90.0, 45.0
EVERY_CUT_S, CUT_S = (0.8, 2.4), (1.0, 8.0)
REDIS_AWAY_S, PROVIDER_AWAY_S = 1.5, (4.0, 8.0)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    options = arguments.parse_args()
    with contextlib.ExitStack() as ends:
        redis = _redis(options.folder, ends)
        call_command("migrate", verbosity=0)
        call_command("seed", stdout=sys.stderr)
        storm = Storm(options.folder, redis, random.Random(options.seed))
        result = asyncio.run(storm.run(options.seconds))
        connections.close_all()
    print(json.dumps(result))


def _redis(folder: Path, ends: contextlib.ExitStack) -> Redis | None:
    port = urlsplit(settings.REDIS_URL).port
    if port is None:
        return None
    redis = Redis(port, folder)
    redis.start()
    ends.callback(redis.end, signal.SIGKILL)
    return redis


class Storm:
    """Everything of one storm. What happens when is drawn from `rng`, so that a seed brings about the same plan."""

    def __init__(self, folder: Path, redis: Redis | None, rng: random.Random) -> None:
        self._folder, self._redis, self._rng = folder, redis, rng
        self._waits, self._accounts, self._faults = Waits(), Accounts(), Faults(rng)
        self._first = Provider("first", FIRST, KEYS[FIRST], self._faults, self._waits, self._accounts)
        self._second = Provider("second", SECOND, KEYS[SECOND], self._faults, self._waits, self._accounts)
        self._chat = ChatProvider(KEYS[TEXT], rng, self._faults)
        # What they log must hold no secret and no word, however much it is.
        env = os.environ | {"LOG_LEVEL": "INFO"}
        self._worker = worker(Path(settings.DATA_DIR), env, folder)
        logs = [folder / f"web{number}.log" for number in range(PROCESSES)]
        self._webs = [WebProcess("uvicorn", Path(settings.DATA_DIR), env, log=log) for log in logs]
        self._logs = [*logs, self._worker.log]
        self._network = Network([web.port for web in self._webs], rng)
        self._callers: list[StormCaller] = []
        self._happened: Counter[str] = Counter()
        self._problems: list[str] = []

    async def run(self, seconds: float) -> dict[str, Any]:
        """Let it blow for so many seconds; return the table, what was wrong and what was counted."""
        async with self._first, self._second, self._chat, self._network:
            urls = {"first_url": self._first.url, "second_url": self._second.url, "text_url": self._chat.url}
            cast = await _in_thread(make_cast, CALLERS, **urls)
            self._worker.start()
            try:
                await asyncio.gather(*(asyncio.to_thread(web.__enter__) for web in self._webs))
                await self._blow(cast, seconds)
            finally:
                await self._stop_everything()
        await self._sweep()
        return await self._result()

    async def _blow(self, cast: Cast, seconds: float) -> None:
        origin = f"http://127.0.0.1:{self._network.port}"

        async def admit(number: int) -> tuple[str, str]:
            return await _in_thread(cast.admit, number, origin)

        self._callers = [
            StormCaller(number, self._network, origin, self._waits, self._rng, settings.SECRET_KEY)
            for number in range(1, CALLERS + 1)
        ]
        calls = [asyncio.create_task(caller.live(admit)) for caller in self._callers]
        await self._until_all_talk()
        self._faults.are_on = True
        await self._break_things(seconds)
        self._faults.are_on = False
        self._note("calls are hung up")
        for caller in self._callers:
            caller.hang_up()
        _, hanging = await asyncio.wait(calls, timeout=HANGS_UP_WITHIN_S)
        if hanging:
            numbers = [caller.number for caller, call in zip(self._callers, calls, strict=True) if call in hanging]
            self._problems.append(f"callers {numbers} hung up and were not told that the call is over")
        for call in hanging:
            call.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, Exception):
                self._problems.append(f"a caller failed: {outcome!r}")

    async def _until_all_talk(self) -> None:
        async with asyncio.timeout(ALL_TALK_WITHIN_S):
            while not all(caller.is_live for caller in self._callers):
                await asyncio.sleep(0.1)
        self._note(f"{CALLERS} calls are live")

    async def _break_things(self, seconds: float) -> None:
        """Break one thing after the other, each at its share of the time, more or less."""
        plan: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (0.08, lambda: self._refuse(self._first, 429)),
            (0.18, lambda: self._send_away(self._first)),
            (0.30, lambda: self._kill(0)),
            (0.42, self._restart_redis),
            (0.50, lambda: self._refuse(self._second, 503)),
            (0.58, lambda: self._stop(1)),
            (0.66, self._restart_worker),
            (0.74, lambda: self._send_away(self._first, self._second)),
            (0.86, self._cut_everybody),
        ]  # fmt: skip
        began_at = time.monotonic()
        cutting = asyncio.create_task(self._cut_again_and_again())
        tasks = []
        for share, happens in plan:
            due_at = began_at + seconds * (share + self._rng.uniform(-0.02, 0.02))
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            tasks.append(asyncio.create_task(happens()))
        await asyncio.sleep(max(0.0, began_at + seconds - time.monotonic()))
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        for caller in self._callers:
            self._network.restore(caller.address)
        await asyncio.gather(*tasks)

    # What breaks: providers.

    async def _refuse(self, provider: Provider, status: int) -> None:
        self._note(f"the {provider.name} provider refuses with {status}")
        provider.refuse = status
        await asyncio.sleep(self._rng.uniform(*PROVIDER_AWAY_S))
        provider.refuse = 0

    async def _send_away(self, *providers: Provider) -> None:
        self._note(f"gone: {', '.join(provider.name for provider in providers)}")
        for provider in providers:
            provider.go_away()
        await asyncio.sleep(self._rng.uniform(*PROVIDER_AWAY_S))
        for provider in providers:
            provider.is_away = False

    # The network.

    async def _cut_again_and_again(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                await asyncio.sleep(self._rng.uniform(*EVERY_CUT_S))
                live = [caller for caller in self._callers if caller.is_live]
                if live:
                    task = asyncio.create_task(self._cut(self._rng.choice(live)))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            for task in tasks:
                task.cancel()

    async def _cut(self, caller: StormCaller) -> None:
        self._happened["networks cut"] += 1
        self._network.cut(caller.address, is_silent=self._rng.random() < 0.3)
        await asyncio.sleep(self._rng.uniform(*CUT_S))
        is_told = self._rng.random() < 0.5
        self._network.restore(caller.address)
        if caller.broke is None and not caller.is_live:
            caller.broken(table.CUT_TOLD if is_told else table.CUT)
        if is_told:
            caller.tell_online()

    async def _cut_everybody(self) -> None:
        self._note("everybody's network is cut")
        await asyncio.gather(*(self._cut(caller) for caller in self._callers if caller.is_live))

    # The processes.

    async def _kill(self, number: int) -> None:
        self._note(f"web process {number} is killed")
        self._note_broken(number, table.KILLED)
        await asyncio.to_thread(self._webs[number].end, signal.SIGKILL)
        await asyncio.to_thread(self._webs[number].__enter__)
        self._note(f"web process {number} is back")

    async def _stop(self, number: int) -> None:
        self._note(f"web process {number} is asked to stop")
        self._note_broken(number, table.STOPPED)
        if not await asyncio.to_thread(self._webs[number].end, signal.SIGTERM):
            self._problems.append("a web process did not stop when it was asked to")
        await asyncio.to_thread(self._webs[number].__enter__)
        self._note(f"web process {number} is back")

    def _note_broken(self, number: int, cause: str) -> None:
        for caller in self._callers:
            if caller.is_live and self._network.backend_of(caller.address) == number:
                caller.broken(cause)
                self._happened[f"calls on the process when: {cause}"] += 1

    async def _restart_redis(self) -> None:
        if self._redis is None:
            return
        self._note("Redis is restarted")
        await asyncio.to_thread(self._redis.end, signal.SIGKILL)
        await asyncio.sleep(REDIS_AWAY_S)
        await asyncio.to_thread(self._redis.start)

    async def _restart_worker(self) -> None:
        await self._restart(self._worker, "the worker")

    async def _restart(self, service: Service, name: str) -> None:
        self._note(f"{name} is killed")
        await asyncio.to_thread(service.end, signal.SIGKILL)
        await asyncio.to_thread(service.start)

    async def _stop_everything(self) -> None:
        for web in self._webs:
            if not await asyncio.to_thread(web.end_if_running, signal.SIGTERM):
                self._problems.append("a web process did not stop at the end")
        if not await asyncio.to_thread(self._worker.end, signal.SIGTERM):
            self._happened["worker had to be killed at the end"] += 1

    # The end.

    async def _sweep(self) -> None:
        """Two workers meet over what is left, some minutes later; and later still there is nothing."""
        swept = await asyncio.to_thread(sweep_twice_at_once)
        self._happened["calls settled by the last sweep"] += swept
        if await _in_thread(settle_dead_sessions, timezone.now() + timedelta(hours=2)):
            self._problems.append("a later sweep found something to settle")

    async def _result(self) -> dict[str, Any]:
        calls = [call for caller in self._callers for call in caller.calls]
        caller_of = {call.session_id: caller.number for caller in self._callers for call in caller.calls}
        books = Books(self._accounts, chat_told=self._chat.told, text_model=TEXT, caller_of=caller_of)
        self._problems += await _in_thread(books.problems, calls)
        self._problems += problems_of_logs(self._logs, self._secrets(calls), [ANSWER, HEARD, QUESTION, "".join(WORDS)])
        for provider in (self._first, self._second, self._chat):
            self._problems += [f"a provider was asked wrongly: {problem}" for problem in provider.problems[:5]]
        self._count(calls)
        rows = table.rows_of(self._waits)
        return {"rows": rows, "problems": self._problems, "facts": as_facts(self._happened | books.facts)}

    def _secrets(self, calls: list[CallOfCaller]) -> list[str]:
        return [*KEYS.values(), settings.SECRET_KEY, *(call.token for call in calls if call.token)]

    def _count(self, calls: list[CallOfCaller]) -> None:
        self._happened["calls"] = len(calls)
        self._happened["calls resumed"] = sum(call.resumes for call in calls)
        self._happened["waits not counted (the caller's network broke, or they spoke again)"] = self._waits.unclear
        self._happened["text answers asked for"] = self._chat.asked
        for (cause, ended_by), times in self._waits.why_lost.items():
            self._happened[f"never, after {cause}: the call ended by {ended_by}"] = times
        for cause, times in self._waits.deaths.items():
            self._happened[f"connections broken: {cause}"] = times

    def _note(self, what: str) -> None:
        print(f"  {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


async def _in_thread(do: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    def done() -> Any:
        try:
            return do(*arguments, **named)
        finally:
            connections.close_all()

    return await sync_to_async(done, thread_sensitive=False)()


if __name__ == "__main__":
    main()
