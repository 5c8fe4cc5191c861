"""Running the programs: each in its own process, with the library that its customers use."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launcher import machine

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
NAMES = ("openai_python", "openai_node", "agents_realtime", "livekit_plugin", "pipecat_service")
MODEL = "gpt-realtime-mini"
INSTRUCTIONS = "You answer the phone of Riverside Dental. We are open nine to five on weekdays."
# "What time do you open on Saturday?", "I would like an appointment for Friday at nine a.m.", "Sorry, could you repeat
# that?"
QUESTION = ROOT / "tests/local_models/data/kokoro_af_heart_u34.wav"
WISH = ROOT / "tests/data/utterances/kokoro_af_heart_u26.wav"
AGAIN = ROOT / "tests/data/utterances/kokoro_af_heart_u31.wav"
# For what hangs: a busy machine starts five programs slowly.
LIMIT_S = 400


@dataclass
class Report:
    """What a program said at its end; its fields are those of programs/common.py."""

    answers: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    interrupted: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    errors: list[str] = field(default_factory=list)


def home() -> Path:
    return Path(os.environ.get("PARLEY_TEST_CLIENTS") or ROOT / ".clients")


def are_installed() -> bool:
    return (home() / "venv" / "bin" / "python").exists() and (home() / "node_modules").is_dir()


class Programs:
    """Starts programs against one server, whose certificate they are told to trust."""

    def __init__(self, url: str, certificate: Path, folder: Path) -> None:
        self.folder, self._url, self._certificate = folder, url, certificate
        # Node looks for packages beside the program.
        for program in PROGRAMS.glob("*.mjs"):
            shutil.copy(program, folder / program.name)
        (folder / "node_modules").symlink_to(home() / "node_modules")

    def start(self, name: str, mode: str, key: str) -> "subprocess.Popen[str]":
        task = {
            "mode": mode, "url": f"{self._url}/v1", "key": key, "model": MODEL, "instructions": INSTRUCTIONS,
            "question": str(QUESTION), "wish": str(WISH), "again": str(AGAIN),
        }  # fmt: skip
        with (self.folder / f"{name}-{mode}.log").open("w") as errors:
            return subprocess.Popen(
                [*self._command(name), json.dumps(task)], env=self.environment(), stdout=subprocess.PIPE,
                stderr=errors, text=True, cwd=self.folder,
            )  # fmt: skip

    def finish(self, name: str, mode: str, process: "subprocess.Popen[str]") -> Report:
        """Wait for a program's end; return its report, which is the last line it printed."""
        try:
            printed, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{name} did not end:\n{self._log(name, mode)}") from None
        lines = printed.strip().splitlines()
        assert process.returncode == 0 and lines, f"{name} failed:\n{self._log(name, mode)}"
        return Report(**json.loads(lines[-1]))

    def run(self, name: str, mode: str, key: str) -> Report:
        return self.finish(name, mode, self.start(name, mode, key))

    def run_all(self, mode: str, keys: dict[str, str]) -> dict[str, Report]:
        """Run every program at once: none of them has anything to do but to wait."""
        with ThreadPoolExecutor(len(NAMES)) as pool:
            return dict(zip(NAMES, pool.map(lambda name: self.run(name, mode, keys[name]), NAMES), strict=True))

    def write(self, name: str, code: str) -> Path:
        """Put a program where its packages are found; return where."""
        path = self.folder / name
        path.write_text(code)
        return path

    @property
    def python(self) -> str:
        return str(home() / "venv" / "bin" / "python")

    @property
    def node(self) -> str:
        node = machine.find_node()
        assert node, "Node.js is not installed"
        return node

    def _command(self, name: str) -> list[str]:
        if (PROGRAMS / f"{name}.py").exists():
            return [self.python, str(PROGRAMS / f"{name}.py")]
        return [self.node, str(self.folder / f"{name}.mjs")]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        certificate = str(self._certificate)
        return {**kept, "SSL_CERT_FILE": certificate, "NODE_EXTRA_CA_CERTS": certificate}

    def _log(self, name: str, mode: str) -> str:
        return (self.folder / f"{name}-{mode}.log").read_text()[-4000:]


def event_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the next line a program prints."""
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the program ended"
    return dict(json.loads(line))
