"""The ways to carry a call that are measured side by side, and how each is started."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from bench.admission import Admission
from bench.callers import BenchCaller, RealtimeCaller, Samples, WidgetCaller
from bench.keys import api_key
from bench.litellm import LITELLM_VERSION, litellm_command, litellm_environment
from bench.processes import ROOT, NotStarted, Started, ending, last_line, listening, start
from launcher.machine import free_port
from launcher.run import Plan, web_command
from launcher.testing import environment_for_tests

SERVER_CORE, LOAD_CORE = 0, 1
_START_WITHIN_S = 60.0
_PREPARE_WITHIN_S = 120.0
_RELAYS = {"websockets": "bench.relays.websockets_relay", "picows": "bench.relays.picows_relay"}

NewCaller = Callable[[int, Samples], Awaitable[BenchCaller]]


@dataclass
class Running:
    """A contender that takes calls. `process` is None for the direct line, which has nothing between."""

    process: Started | None
    new_caller: NewCaller
    url: str
    headers: dict[str, str]
    data_dir: Path | None = None
    admission: Admission | None = None
    remark: str = ""

    async def call(self, frame_ms: int, samples: Samples) -> BenchCaller:
        """Start one session; raises NotAdmitted, OSError, TimeoutError or ConnectionError."""
        caller = await self.new_caller(frame_ms, samples)
        await caller.start(self.url, self.headers)
        return caller


# Starts a contender against a mock, with a folder for what it keeps; raises NotStarted.
Open = Callable[[Started, Path], AbstractAsyncContextManager[Running]]


@dataclass(frozen=True)
class Contender:
    name: str
    label: str
    open: Open
    # Measured unless others are asked for.
    is_usual: bool = True


@asynccontextmanager
async def open_direct(mock: Started, folder: Path) -> AsyncIterator[Running]:
    yield Running(None, _realtime_caller, _mock_url(mock), {})


def relay(library: str) -> Open:
    @asynccontextmanager
    async def opened(mock: Started, folder: Path) -> AsyncIterator[Running]:
        port = free_port("127.0.0.1")
        command = [sys.executable, "-m", _RELAYS[library], "--port", str(port), "--upstream", _mock_url(mock)]
        with ending(start(command, core=SERVER_CORE, port=port, log=folder / f"{library}.log")) as process:
            await listening(process, _START_WITHIN_S)
            yield Running(process, _realtime_caller, f"ws://127.0.0.1:{port}/", {})

    return opened


@asynccontextmanager
async def open_litellm(mock: Started, folder: Path) -> AsyncIterator[Running]:
    port = free_port("127.0.0.1")
    log = folder / "litellm.log"
    key = f"sk-{secrets.token_hex(24)}"
    command = await asyncio.to_thread(litellm_command, port, mock.port, key, folder, log)
    environment = litellm_environment(folder)
    with ending(start(command, core=SERVER_CORE, port=port, log=log, env=environment, cwd=folder)) as process:
        await listening(process, 2 * _START_WITHIN_S)
        url = f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime-mini"
        yield Running(process, _realtime_caller, url, {"Authorization": f"Bearer {key}"})


@dataclass(frozen=True)
class _Web:
    """The real application with its database, started by the command the launcher uses."""

    process: Started
    port: int
    data_dir: Path
    environment: dict[str, str]


@asynccontextmanager
async def _web(server: str, options: Sequence[str], mock: Started, folder: Path) -> AsyncIterator[_Web]:
    port = free_port("127.0.0.1")
    data_dir = folder / "data"
    plan = Plan(
        host="127.0.0.1", port=port, data_dir=data_dir, models_port=None, worker=False, server=server,
        has_openai_key=True, debug=False,
    )  # fmt: skip
    environment = _parley_environment(plan, mock)
    log = folder / "parley.log"
    await asyncio.to_thread(_prepare, environment, data_dir, folder.parent / "prepared", log)
    command = [sys.executable, "-m", *web_command(plan)]
    command[-1:-1] = options
    with ending(start(command, core=SERVER_CORE, port=port, log=log, env=environment)) as process:
        await listening(process, _START_WITHIN_S)
        yield _Web(process, port, data_dir, environment)


def parley(server: str, *options: str) -> Open:
    """The widget's socket, on which a browser speaks; the web server gets `options` besides."""

    @asynccontextmanager
    async def opened(mock: Started, folder: Path) -> AsyncIterator[Running]:
        async with _web(server, options, mock, folder) as web:
            admission = Admission(web.port, _demo_key(web.data_dir))
            headers = {"Origin": f"http://127.0.0.1:{web.port}", "Sec-WebSocket-Protocol": "parley.widget.v1"}
            url = f"ws://127.0.0.1:{web.port}/v1/voice/widget"
            remark = await _remark_on_compression(url, headers["Origin"])
            yield Running(web.process, _widget_caller(admission), url, headers, web.data_dir, admission, remark)

    return opened


def parley_realtime(server: str) -> Open:
    """The socket on which customers' own programs speak OpenAI's protocol."""

    @asynccontextmanager
    async def opened(mock: Started, folder: Path) -> AsyncIterator[Running]:
        async with _web(server, (), mock, folder) as web:
            key = await asyncio.to_thread(api_key, web.environment)
            url = f"ws://127.0.0.1:{web.port}/v1/realtime?model=gpt-realtime-mini"
            yield Running(web.process, _realtime_caller, url, {"Authorization": f"Bearer {key}"}, web.data_dir)

    return opened


# In the order of their turns: those that an aim compares are neighbours, or nearly.
CONTENDERS = (
    Contender("websockets", "bare `websockets` relay", relay("websockets")),
    Contender("uvicorn", "**Parley on uvicorn**", parley("uvicorn")),
    Contender("litellm", f"LiteLLM {LITELLM_VERSION} `/v1/realtime`", open_litellm),
    Contender("uvicorn-realtime", "**Parley's `/v1/realtime`** on uvicorn", parley_realtime("uvicorn")),
    Contender("daphne", "**Parley on Daphne**", parley("daphne")),
    Contender("daphne-realtime", "**Parley's `/v1/realtime`** on Daphne", parley_realtime("daphne")),
    Contender("picows", "bare `picows` relay", relay("picows")),
    Contender(
        "uvicorn-websockets", "Parley on uvicorn's own websockets", parley("uvicorn", "--ws", "websockets"), False
    ),
)
DIRECT = Contender("direct", "nothing between (baseline)", open_direct)


def books_of(running: Running) -> str:
    """Say what Parley's meter wrote down, as proof that the calls were paid for, and what it refused at first."""
    if running.data_dir is None:
        return ""
    repeated = running.admission.repeated if running.admission else 0
    refused = f"; {repeated} tickets were refused with 503 and asked for again" if repeated else ""
    return _metering_of(running.data_dir) + refused + running.remark


def _metering_of(data_dir: Path) -> str:
    with closing(sqlite3.connect(f"file:{data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        calls, captured_micro = database.execute(
            "SELECT COUNT(*), COALESCE(SUM(captured_micro), 0) FROM voice_session"
        ).fetchone()
        (usages,) = database.execute("SELECT COUNT(*) FROM voice_usagerecord").fetchone()
    return f"{calls} calls, {usages} usage records, {captured_micro / 1e6:.0f} credits captured"


def _mock_url(mock: Started) -> str:
    return f"ws://127.0.0.1:{mock.port}/v1/realtime?model=gpt-realtime-mini"


async def _remark_on_compression(url: str, origin: str) -> str:
    """Say whether the server compresses for browsers, which offer it. The callers here do not, so it must be known."""
    offer = connect(url, origin=Origin(origin), subprotocols=[Subprotocol("parley.widget.v1")], compression="deflate")
    async with offer as connection:
        accepted = connection.protocol.extensions
    return "; **it compresses every frame for a browser, which is not in these figures**" if accepted else ""


async def _realtime_caller(frame_ms: int, samples: Samples) -> BenchCaller:
    return RealtimeCaller(frame_ms, samples)


def _widget_caller(admission: Admission) -> NewCaller:
    async def made(frame_ms: int, samples: Samples) -> BenchCaller:
        ticket = await asyncio.get_running_loop().run_in_executor(admission.thread, admission.ticket)
        return WidgetCaller(frame_ms, samples, ticket)

    return made


def _parley_environment(plan: Plan, mock: Started) -> dict[str, str]:
    """Parley's defaults, a model that answers from this machine, and no limit that a bench would run into."""
    return {
        **environment_for_tests(plan.data_dir, os.environ),
        "HOST": plan.host,
        "PORT": str(plan.port),
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        "OPENAI_API_KEY": "bench",
        "OPENAI_REALTIME_URL": f"ws://127.0.0.1:{mock.port}/v1/realtime",
        "HOUSE_CREDITS": "100000000",
        "CALL_STARTS_PER_IP": "100000/m",
        "CALL_STARTS_PER_AGENT": "100000/m",
        "API_REQUESTS_PER_MINUTE": "100000",
        "CONCURRENT_CALLS_PER_IP": "10000",
        "CONCURRENT_CALLS_PER_AGENT": "10000",
        "CONCURRENT_CALLS_PER_ORGANISATION": "10000",
    }


def _prepare(environment: dict[str, str], data_dir: Path, prepared: Path, log: Path) -> None:
    """Migrate and seed a database, once a run: the next contender gets a copy of what the first one began with."""
    if not prepared.exists():
        data_dir.mkdir()
        for arguments in (["migrate", "--noinput"], ["seed"]):
            _manage(arguments, environment, log)
        shutil.copytree(data_dir, prepared)
    shutil.copytree(prepared, data_dir, dirs_exist_ok=True)


def _manage(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    command = [sys.executable, "manage.py", *arguments]
    with log.open("ab") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, timeout=_PREPARE_WITHIN_S
        )
    if done.returncode != 0:
        raise NotStarted(f"'manage.py {arguments[0]}' failed: {last_line(log)}")


def _demo_key(data_dir: Path) -> str:
    with closing(sqlite3.connect(data_dir / "db.sqlite3")) as database:
        # The demo may last five minutes; a bench ends before, but must not end with it.
        database.execute("UPDATE voice_agent SET max_duration_s = 3600")
        database.commit()
        (key,) = database.execute("SELECT public_key FROM voice_agent WHERE is_demo").fetchone()
    return str(key)
