"""LiteLLM's proxy, in a virtual environment of its own: its many requirements stay out of Parley's."""

import os
import subprocess
import sys
from pathlib import Path

from bench.processes import NotStarted, last_line
from launcher import places

LITELLM_VERSION = "1.106.2"
_INSTALL_WITHIN_S = 300.0

_CONFIG = """\
model_list:
  - model_name: gpt-realtime-mini
    litellm_params:
      model: openai/gpt-realtime-mini
      api_base: http://127.0.0.1:{mock_port}
      api_key: bench
general_settings:
  master_key: {key}
"""


def litellm_command(port: int, mock_port: int, key: str, folder: Path, log: Path) -> list[str]:
    """Return the command that serves whoever knows `key`; installs it the first time, or raises NotStarted."""
    venv = _installed(log)
    config = folder / "litellm.yaml"
    config.write_text(_CONFIG.format(mock_port=mock_port, key=key))
    where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return [str(venv / "bin" / "litellm"), "--config", str(config), *where]


def litellm_environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "TMPDIR"}}
    # Its price list and its telemetry come from elsewhere unless told otherwise.
    return {**kept, "HOME": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR", "NO_DOCS": "True", "DO_NOT_TRACK": "1"}  # fmt: skip


def _installed(log: Path) -> Path:
    venv = Path(os.environ.get("PARLEY_BENCH_LITELLM") or places.data_dir() / "bench-litellm")
    mark = venv / f"installed-{LITELLM_VERSION}"
    if mark.exists():
        return venv
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(venv / "bin" / "pip"), "install", "-q", "--no-input", f"litellm[proxy]=={LITELLM_VERSION}"],
    ]
    for command in commands:
        with log.open("ab") as output:
            try:
                done = subprocess.run(command, stdout=output, stderr=output, timeout=_INSTALL_WITHIN_S)
            except subprocess.TimeoutExpired:
                raise NotStarted(f"could not be installed within {_INSTALL_WITHIN_S:.0f} s") from None
        if done.returncode != 0:
            raise NotStarted(f"could not be installed: {last_line(log)}")
    mark.touch()
    return venv
