"""Programs run with the settings and the database of the running product: for what no page can do.

Django takes seconds to begin on a busy machine: it does so once a product, in a process that forks for each of them.
"""

import json
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 120
_forking: dict[Path, subprocess.Popen[str]] = {}


def in_product(product, program, *arguments):
    """Run a program with the settings of the running product; return what it printed."""
    if product.data_dir not in _forking:
        _forking[product.data_dir] = _begin(product.data_dir)
    process = _forking[product.data_dir]
    hangs = threading.Timer(LIMIT_S, process.kill)
    hangs.start()
    try:
        process.stdin.write(json.dumps([program, arguments]) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or "null")
    finally:
        hangs.cancel()
    assert answer is not None, f"the program took more than {LIMIT_S} s"
    printed, status = answer
    assert status == 0, printed
    return printed.strip()


def end(data_dir):
    """Let go of a product that is about to be stopped."""
    if process := _forking.pop(data_dir, None):
        process.communicate(timeout=LIMIT_S)


def _begin(data_dir):
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PARLEY_DATA_DIR": str(data_dir),
        "DEBUG": "true",
        "SECRET_KEY": "",
        "DATABASE_URL": "",
        "CELERY_TASK_ALWAYS_EAGER": "",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.browser.inside"]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main():
    import django
    from django.db import connections

    django.setup()
    # A connection is no two processes' own.
    connections.close_all()
    for line in sys.stdin:
        print(json.dumps(_run(*json.loads(line))), flush=True)


def _run(program, arguments):
    """Run a program in a process of its own; return what it printed, and how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, sys.stdout.fileno())
        os._exit(_ends_with(program, arguments))
    os.close(write)
    with open(read) as said:
        printed = said.read()
    _, status = os.waitpid(child, 0)
    return printed, status


def _ends_with(program, arguments):
    sys.argv = ["-c", *arguments]
    try:
        exec(program, {"__name__": "__main__"})
        return 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        return 1
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    main()
