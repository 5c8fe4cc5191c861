"""A copy of the launcher in a small tree of its own, where every program it starts is a fake of a few lines."""

import compileall
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from launcher.machine import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60

NOTE_PID = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["FAKES"])
def note(name):
    with (folder / f"{name}.pids").open("a") as file:
        file.write(f"{os.getpid()}\\n")
"""

FAKE_SERVER = (
    NOTE_PID
    + """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
print(NAME, "listens", flush=True)
note(NAME)
if os.environ.get("FAKE_WEB") == "dies" and NAME == "web":
    print("the web's last words", flush=True)
    sys.exit(3)
def tell(number, _):
    print(NAME, "heard", signal.Signals(number).name, flush=True)
    sys.exit()
for number in (signal.SIGTERM, signal.SIGINT):
    is_stubborn = os.environ.get("FAKE_WEB") == "stubborn" and NAME == "web"
    signal.signal(number, signal.SIG_IGN if is_stubborn else tell)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
)

FAKE_WORKER = (
    NOTE_PID
    + """
schedule = os.fork()
if schedule == 0:
    if os.environ.get("FAKE_SCHEDULE") == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("schedule")
    time.sleep(3600)
def end(*_):
    os.kill(schedule, signal.SIGKILL)
    os.wait()
    sys.exit()
if os.environ.get("FAKE_SCHEDULE") != "stubborn":
    signal.signal(signal.SIGTERM, end)
print("worker is up", flush=True)
note("worker")
time.sleep(3600)
"""
)

FAKE_PIP = """
import os, pathlib, sys
with open(os.path.join(os.environ["FAKES"], "pip.calls"), "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
print("Collecting django==5.2\\nCollecting asgiref\\nInstalling collected packages: asgiref, django")
if os.environ.get("FAKE_PIP") == "hangs":
    import time
    pathlib.Path(os.environ["FAKES"], "pip.pids").write_text(str(os.getpid()))
    time.sleep(3600)
print(os.environ.get("FAKE_PIP_SAYS", ""))
sys.exit(1 if "FAKE_PIP_SAYS" in os.environ else 0)
"""

FAKE_MANAGE = """
import os, sys
with open(os.path.join(os.environ["FAKES"], "manage.calls"), "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if os.environ.get("FAKE_MANAGE") == "fails":
    sys.exit("no such table: wallet")
"""


FAKE_PYTEST = (
    NOTE_PID
    + """
note("pytest")
report = next(word.partition("=")[2] for word in sys.argv if word.startswith("--junitxml="))
kind = os.environ.get("FAKE_PYTEST", "passes")
if kind == "hangs":
    time.sleep(3600)
body = {"passes": "", "fails": "<failure/>", "skips": "<skipped message='Chromium is not here'/>"}[kind]
pathlib.Path(report).write_text(
    f"<testsuites><testsuite><testcase name='a'/><testcase name='b'>{body}</testcase></testsuite></testsuites>"
)
print("pytest was given", sys.argv[-1])
sys.exit(kind == "fails")
"""
)


class Tree:
    """A throw-away Parley: `start` launches it, `pids` and `calls` say what the fakes did."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / "venv"
        self.data = root / "data"
        self.fakes = root / "fakes"
        self.port, self.models_port = free_port("127.0.0.1"), free_port("127.0.0.1")
        self.started: list[subprocess.Popen[str]] = []

    def build(self) -> None:
        shutil.copytree(ROOT / "launcher", self.root / "launcher", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "parley", self.root / "parley")
        self.fakes.mkdir()
        self.write("manage.py", FAKE_MANAGE)
        self.write("requirements.txt", "django\n")
        self.write("local_models/requirements.txt", "piper-tts\n")
        self.write("config/daphne_server.py", 'NAME = "web"\n' + FAKE_SERVER)
        self.write("local_models/__main__.py", 'NAME = "models"\n' + FAKE_SERVER)
        self.build_venv()
        # Each of its processes would do it anew.
        compileall.compile_dir(self.root, quiet=1)

    def build_venv(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.venv)], check=True)
        packages = Path(
            sysconfig.get_path("purelib", "venv", vars={"base": str(self.venv), "platbase": str(self.venv)})
        )
        for name, text in {
            "pip": FAKE_PIP,
            "celery": FAKE_WORKER,
            "pytest": FAKE_PYTEST,
        }.items():
            (packages / name).mkdir()
            (packages / name / "__init__.py").touch()
            (packages / name / "__main__.py").write_text(text)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def environment(self, **chosen: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        own = {
            "PARLEY_VENV": "venv",
            "PARLEY_DATA_DIR": "data",
            "PORT": str(self.port),
            "LOCAL_MODELS_PORT": str(self.models_port),
            "FAKES": str(self.fakes),
        }
        return {**kept, **own, **chosen}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        # Into a file, not a pipe: nobody has to read it for the launcher to go on.
        self.output_file = self.root / "output.txt"
        with self.output_file.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, str(self.root / "parley"), *arguments],
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_and_wait(self, **environment: str) -> subprocess.Popen[str]:
        process = self.start("run", **environment)
        wait_until(lambda: "Parley is ready" in self.output or process.poll() is not None)
        assert process.poll() is None, self.output
        wait_until(lambda: self.pids("worker") and self.pids("schedule"))
        return process

    def finish(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run to the end; gives the exit code and what was printed."""
        return self.start(*arguments, **environment).wait(PATIENCE_S), self.output

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def pids(self, name: str) -> list[int]:
        file = self.fakes / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def all_pids(self) -> list[int]:
        return [pid for name in ("web", "worker", "schedule", "models") for pid in self.pids(name)]

    def calls(self, program: str) -> list[str]:
        file = self.fakes / f"{program}.calls"
        return file.read_text().splitlines() if file.exists() else []

    def clean_up(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def sapling(tmp_path_factory) -> Path:
    """A tree that nobody has touched: making one takes longer than many a test with it."""
    root = tmp_path_factory.mktemp("sapling")
    Tree(root).build()
    return root


@pytest.fixture
def tree(sapling, tmp_path):
    shutil.copytree(sapling, tmp_path, symlinks=True, dirs_exist_ok=True)
    made = Tree(tmp_path)
    yield made
    made.clean_up()


def wait_until(condition) -> None:
    """Poll; the bound is only there so that a broken launcher cannot hang the tests."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """A process that has ended but was not reaped by its new parent counts as gone."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc").is_dir()
    return state != "Z"


@pytest.fixture
def eventually():
    return wait_until


@pytest.fixture
def running():
    return is_running
