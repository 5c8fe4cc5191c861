"""`./parley run`: install, prepare the database, start everything, say where it is, and end it all together."""

import http.client
import ipaddress
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launcher import install, lock, machine, places
from launcher.errors import Halt
from launcher.processes import Guardian, last_lines, run_logged
from launcher.screen import Screen
from launcher.supervisor import Service, Supervisor

DEFAULT_PORT = 8000
DEFAULT_MODELS_PORT = 8790
# The largest message that the widget and the realtime endpoint accept; the servers' own default is smaller.
WEBSOCKET_BYTES_MAX = 16 * 1024 * 1024
# How long calls may last once the web process is asked to stop, and what settling them then takes (config/stopping.py).
DEFAULT_DRAIN_S = 20
SETTLE_S = 5
READY_WITHIN_S = 180.0
READY_POLL_S = 0.3
TRUE_WORDS = {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Plan:
    """What one run consists of, decided before anything is started."""

    host: str
    port: int
    data_dir: Path
    models_port: int | None
    worker: bool
    server: str
    has_openai_key: bool
    debug: bool
    tls: bool = False

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://{reachable(self.host)}:{self.port}"

    @property
    def tls_dir(self) -> Path:
        return self.data_dir / "tls"

    @property
    def certificate(self) -> Path:
        return self.tls_dir / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.tls_dir / "key.pem"

    @property
    def models_url(self) -> str:
        return f"http://127.0.0.1:{self.models_port}/v1"


def reachable(host: str) -> str:
    """The host to put into an address: one can listen on every address, but not call it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def make_plan(server: str, worker: bool, models: bool, tls: bool = False) -> Plan:
    host = places.setting("HOST", "127.0.0.1")
    return Plan(
        host=host,
        port=places.number("PORT", DEFAULT_PORT),
        data_dir=places.data_dir().resolve(),
        models_port=choose_models_port() if models else None,
        worker=worker,
        server=server,
        has_openai_key=has_openai_key(),
        # Only this machine can reach a loopback address: there, and there alone, development is the default.
        debug=places.setting("DEBUG", "true" if is_loopback(host) else "false").lower() in TRUE_WORDS,
        tls=tls,
    )


def has_openai_key() -> bool:
    return bool(places.setting("OPENAI_API_KEY") or places.setting("OPENAI_API_KEY_FILE"))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def choose_models_port() -> int:
    """LOCAL_MODELS_PORT if it is set, else the usual one, else any: nobody but Parley needs to know it."""
    port = places.number("LOCAL_MODELS_PORT", DEFAULT_MODELS_PORT)
    if places.setting("LOCAL_MODELS_PORT"):
        machine.check_port("127.0.0.1", port, setting="LOCAL_MODELS_PORT")
    return port if machine.port_is_free("127.0.0.1", port) else machine.free_port("127.0.0.1")


def environment(plan: Plan) -> dict[str, str]:
    chosen = {
        "PYTHONUNBUFFERED": "1",
        "PARLEY_DATA_DIR": str(plan.data_dir),
        "HOST": plan.host,
        "PORT": str(plan.port),
        "DEBUG": str(plan.debug).lower(),
        # The speech models' runtime sends usage statistics unless told not to.
        "ORT_DISABLE_TELEMETRY": "1",
        # Celery's eight lines about running as root, as containers do; its tasks are never pickled.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }
    if plan.models_port:
        chosen["LOCAL_MODELS_URL"] = plan.models_url
    if plan.tls and not places.setting("PUBLIC_URL"):
        chosen["PUBLIC_URL"] = plan.address
    return {**os.environ, **chosen}


def services(plan: Plan) -> tuple[list[Service], Service]:
    """Return the servers, and the worker."""
    python, env = str(places.venv_python()), environment(plan)
    web = Service("web", [python, "-m", *web_command(plan)], env, places.ROOT, drains_s=drain_s())
    worker = Service("worker", [python, "-m", *worker_command(plan)], env, places.ROOT, restarts=True)
    # With a key the embedded models are only what calls fall back to.
    models_command = [python, "-m", "local_models", "--port", str(plan.models_port)]
    models = Service("models", models_command, env, places.ROOT, restarts=True, dispensable=plan.has_openai_key)
    return [models] * bool(plan.models_port) + [web], worker


def web_command(plan: Plan) -> list[str]:
    """Neither server writes an access log: it would hold callers' addresses."""
    where, limit = [plan.host, "--port", str(plan.port)], str(WEBSOCKET_BYTES_MAX)
    if plan.server == "uvicorn":
        options = [
            # Whatever WEB_CONCURRENCY says, which uvicorn reads by itself: several need a Redis between them.
            "--workers",
            "1",
            "--ws",
            "config.picows_websocket:PicowsWebSocket",
            "--ws-max-size",
            limit,
            "--timeout-graceful-shutdown",
            str(drain_s() + SETTLE_S),
        ]
        quiet = ["--no-access-log", "--log-level", "warning", "--no-proxy-headers"]
        tls = ["--ssl-certfile", str(plan.certificate), "--ssl-keyfile", str(plan.key)] * plan.tls
        return ["uvicorn", "--host", *where, *options, *quiet, *tls, "config.asgi:application"]
    limits = ["--websocket-max-message-size", limit, "--websocket-max-frame-size", limit]
    # A call's last words to the ledger need a moment after the browser has gone.
    options = ["--verbosity", "0", "--application-close-timeout", "15", *limits]
    if plan.tls:
        # Twisted's own notation, in which a colon inside a value is escaped.
        interface, key, certificate = (
            text.replace(":", r"\:") for text in (plan.host, str(plan.key), str(plan.certificate))
        )
        endpoint = f"ssl:{plan.port}:interface={interface}:privateKey={key}:certKey={certificate}"
        return ["config.daphne_server", "-e", endpoint, *options, "config.asgi:application"]
    return ["config.daphne_server", "-b", *where, *options, "config.asgi:application"]


def drain_s() -> int:
    text = places.setting("DRAIN_S", str(DEFAULT_DRAIN_S))
    # What is no number the web process itself complains about.
    return int(text) if text.isdecimal() else DEFAULT_DRAIN_S


def worker_command(plan: Plan) -> list[str]:
    schedule = ["-B", "-s", str(plan.data_dir / "celerybeat-schedule")]
    # Threads: tasks wait for models and other machines; processes would each load the whole project.
    pool = ["-P", "threads", "-c", "2"]
    return ["celery", "--quiet", "-A", "config", "worker", *schedule, *pool, "--loglevel", "WARNING"]


def prepare_database(plan: Plan, screen: Screen) -> None:
    """Migrate and seed, both safe to repeat; raises Halt with Django's last lines."""
    static = ["--static"] * (not plan.debug)
    manage("preparing the database", ["prepare", *static], plan, screen)


def manage(stage: str, arguments: list[str], plan: Plan, screen: Screen) -> None:
    log = plan.data_dir / "prepare.log"
    log.write_bytes(b"")
    command = [str(places.venv_python()), "manage.py", *arguments]
    try:
        return_code = run_logged(command, log, lambda: screen.progress(stage), cwd=places.ROOT, env=environment(plan))
    finally:
        screen.finish_progress()
    if return_code != 0:
        lines = "\n".join(f"  {line}" for line in last_lines(log, 12))
        raise Halt(f"'manage.py {' '.join(arguments)}' failed (all of it is in {log}); its last lines were:\n{lines}")


def make_certificate(plan: Plan, screen: Screen) -> None:
    """See to it that there is a certificate for this machine's names; raises Halt when it cannot be made."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", reachable(plan.host).strip("[]"), socket.gethostname()])
    command = [str(places.venv_python()), "-m", "config.certificate", str(plan.tls_dir), *names]
    stage, log = "making the certificate", plan.data_dir / "prepare.log"
    log.write_bytes(b"")
    if run_logged(command, log, lambda: screen.progress(stage), cwd=places.ROOT) != 0:
        lines = "\n".join(f"  {line}" for line in last_lines(log, 12))
        raise Halt(f"The certificate for --tls could not be made; the last lines of {log} are:\n{lines}")
    screen.finish_progress()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect (to https, say) is an answer, and where it leads may not exist on this machine."""

    def redirect_request(self, *_: object) -> None:
        return None


def answers(url: str) -> bool:
    """True if the server at `url` takes requests: one it refuses (a host name it does not serve) shows that too."""
    # No proxy, and whatever the certificate: the servers are on this machine, and only asked whether they are there.
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    https = urllib.request.HTTPSHandler(context=anybody)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect, https)
    try:
        with opener.open(url, timeout=2.0):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (OSError, http.client.HTTPException):
        return False


class Readiness:
    """Asks the servers whether they are ready, and shows which one is being waited for."""

    def __init__(
        self, plan: Plan, supervisor: Supervisor, screen: Screen, ask: Callable[[str], bool] = answers
    ) -> None:
        self._awaited = {"the web server": (f"{plan.address}/healthz", "web")}
        if plan.models_port:
            self._awaited["the speech models"] = (f"http://127.0.0.1:{plan.models_port}/health", "models")
        self._supervisor, self._screen, self._ask = supervisor, screen, ask
        self._started_s = time.monotonic()
        self._next_ask_s = 0.0

    def everything_is_ready(self) -> bool:
        now_s = time.monotonic()
        self._screen.progress(f"starting {' and '.join(self._awaited)}")
        if now_s >= self._next_ask_s:
            self._next_ask_s = now_s + READY_POLL_S
            self._awaited = {name: where for name, where in self._awaited.items() if not self._ask(where[0])}
        if self._awaited and now_s - self._started_s > READY_WITHIN_S:
            raise Halt(self._complaint())
        return not self._awaited

    def _complaint(self) -> str:
        said = [line for _, name in self._awaited.values() for line in self._supervisor.last_lines_of(name)]
        lines = "".join(f"\n  {line}" for line in said)
        return f"Gave up after {READY_WITHIN_S:.0f} s: no answer from {' and '.join(self._awaited)}.{lines}"


def banner(plan: Plan) -> list[str]:
    mails = f"{plan.address}/dev/mail/ (nothing leaves this machine)"
    return [
        "",
        f"Parley is ready at {plan.address}/",
        "",
        *[f"  certificate     {plan.certificate} (its own: browsers ask once, programs are told)"] * plan.tls,
        f"  running on      {running_on(plan)}",
        f"  first operator  ./parley admin you@example.com, then {plan.address}/admin/",
        f"  mails it sends  {mails if plan.debug else 'as EMAIL_URL says; without it they are printed here'}",
        f"  its data        {plan.data_dir}",
        "  to stop         Ctrl-C",
        "",
    ]


def running_on(plan: Plan) -> str:
    if plan.has_openai_key:
        spare = "the embedded models stand by" if plan.models_port else "no embedded models to fall back to"
        return f"OpenAI (OPENAI_API_KEY is set); {spare}"
    if plan.models_port:
        return "no OPENAI_API_KEY: using the embedded models"
    return "no OPENAI_API_KEY and --no-models: calls cannot be answered"


def run(server: str, worker: bool, models: bool, tls: bool, screen: Screen) -> int:
    """Returns 0 when asked to stop; raises Halt when something could not start or could not be kept up."""
    # Callers' and customers' data, and mails with their secrets, are nobody else's on this machine.
    os.umask(0o077)
    if models:
        machine.check_glibc()
    plan = make_plan(server, worker, models, tls)
    machine.check_port(plan.host, plan.port)
    with lock.only_run(plan.data_dir, screen) as lock_descriptor:
        install.ensure([install.PRODUCT, install.MODELS] if models else [install.PRODUCT], screen)
        prepare_database(plan, screen)
        if plan.tls:
            make_certificate(plan, screen)
        with Guardian(keep_open=[lock_descriptor]) as guardian:
            supervise(plan, Supervisor(guardian, screen), screen)
    screen.line("Everything has stopped.")
    return 0


def supervise(plan: Plan, supervisor: Supervisor, screen: Screen) -> None:
    supervisor.catch_signals()
    try:
        servers, worker = services(plan)
        for server in servers:
            supervisor.start(server)
        if not supervisor.watch(until=Readiness(plan, supervisor, screen).everything_is_ready):
            return
        # Last: its looks at models that are still loading would find them wanting, and keep calls away from them.
        if plan.worker:
            supervisor.start(worker)
        screen.finish_progress()
        for line in banner(plan):
            screen.line(line)
        supervisor.watch()
    finally:
        screen.finish_progress()
        screen.line("stopping ...")
        supervisor.stop()
