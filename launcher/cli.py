"""The command line: one subcommand for each thing a person does with Parley."""

import argparse
import errno
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

from launcher import install, places, testing
from launcher.doctor import doctor
from launcher.errors import Halt
from launcher.run import environment, make_plan, prepare_database, run
from launcher.screen import Screen

INTERRUPTED = 130
# What follows these belongs to the program they start, options included.
PASSED_THROUGH = {"bench": "bench", "chaos": "tests.crash"}

EPILOG = """\
environment: PORT (8000), HOST (127.0.0.1), PARLEY_DATA_DIR (var), PARLEY_VENV (.venv), OPENAI_API_KEY and
whatever else .env.example lists; the same names may stand in a file .env. docs/running.md says more.
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="parley",
        description="Parley, a voice desk that you host yourself.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run_command = commands.add_parser("run", help="install what is missing and start everything; Ctrl-C stops it")
    run_command.description = "Install what is missing, prepare the database and start everything. Ctrl-C stops it."
    run_command.add_argument(
        "--server",
        choices=["daphne", "uvicorn"],
        default="daphne",
        help="web server (default: daphne; see docs/running.md)",
    )
    run_command.add_argument(
        "--no-models", action="store_true", help="without the embedded models (needs OPENAI_API_KEY)"
    )
    run_command.add_argument(
        "--no-worker", action="store_true", help="without the worker, where another machine runs one"
    )

    run_command.add_argument(
        "--tls", action="store_true", help="https and wss, with a certificate of its own (see docs/reverse-proxy.md)"
    )

    test_command = commands.add_parser("test", help="run every check and test; arguments after -- go to pytest")
    test_command.description = (
        "Run every check and test. Arguments after -- go to pytest: parley test -- tests/billing -k hold"
    )
    test_command.add_argument("--strict", action="store_true", help="count a skipped test as a failure of the run")

    commands.add_parser("check", help="lint, formatting, types, import contracts, migrations")
    commands.add_parser("bench", help="measure cost and delay; its own --help lists what", add_help=False)
    commands.add_parser("chaos", help="the long tests that kill processes in mid-call", add_help=False)
    commands.add_parser("doctor", help="say what this machine lacks")

    admin_command = commands.add_parser("admin", help="make an operator of the admin site; asks for a password")
    admin_command.add_argument("email", metavar="EMAIL")
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the process's exit code. Whatever a person can mend is said in one sentence."""
    screen = Screen()
    unwind_on_signals()
    try:
        return dispatch(list(arguments), screen)
    except Halt as halt:
        screen.finish_progress()
        screen.line(f"parley: {halt}")
        return halt.exit_code
    except KeyboardInterrupt:
        screen.finish_progress()
        screen.line("parley: stopped.")
        return INTERRUPTED
    except OSError as error:
        screen.finish_progress()
        screen.line(f"parley: {explain_os_error(error)}")
        return 1


def unwind_on_signals() -> None:
    """Make SIGTERM and a closed terminal end things in order, as Ctrl-C does: what was started is ended on the way."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def explain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "The disk is full: free 2 GB, then run this again."
    where = f" ({error.filename})" if error.filename else ""
    return f"The system refused: {error.strerror or error}{where}."


def dispatch(arguments: list[str], screen: Screen) -> int:
    if arguments and arguments[0] in PASSED_THROUGH:
        return pass_through(PASSED_THROUGH[arguments[0]], arguments[1:], screen)
    words, to_pytest = split_at_dashes(arguments)
    options = parser().parse_args(words)
    if to_pytest and options.command != "test":
        raise Halt("Only 'parley test' takes arguments after --.", exit_code=2)
    match options.command:
        case "run":
            return run(options.server, not options.no_worker, not options.no_models, options.tls, screen)
        case "test":
            return testing.test(to_pytest, options.strict, screen)
        case "check":
            return testing.check(screen)
        case "admin":
            return make_operator(options.email, screen)
    return doctor(screen)


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def pass_through(module: str, arguments: list[str], screen: Screen) -> int:
    path = places.ROOT / module.replace(".", "/")
    if not path.is_dir() and not path.with_suffix(".py").is_file():
        raise Halt(f"This copy of Parley has no {path.relative_to(places.ROOT)}.")
    install.ensure([install.PRODUCT, install.MODELS, install.TOOLS], screen)
    return subprocess.call([str(places.venv_python()), "-m", module, *arguments], cwd=places.ROOT)


def make_operator(email: str, screen: Screen) -> int:
    install.ensure([install.PRODUCT], screen)
    plan = make_plan("daphne", worker=False, models=False)
    prepare_database(plan, screen)
    command = [str(places.venv_python()), "manage.py", "make_operator", email]
    return subprocess.call(command, cwd=places.ROOT, env=environment(plan))
