"""What the supervisor does about a service that keeps dying."""

import io
import os
import sys

import pytest

from launcher.errors import Halt
from launcher.processes import Guardian, describe_exit
from launcher.screen import Screen
from launcher.supervisor import Service, Supervisor


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def supervisor(output):
    with Guardian() as guardian:
        made = Supervisor(guardian, Screen(output), backoff_s=[0, 0])
        yield made
        made.stop()


def service(name, program, tmp_path, **kind):
    return Service(name, [sys.executable, "-c", program], dict(os.environ), tmp_path, **kind)


def test_a_service_that_keeps_dying_ends_the_run(supervisor, output, tmp_path):
    supervisor.start(service("worker", "print('broken'); raise SystemExit(4)", tmp_path, restarts=True))
    with pytest.raises(Halt, match=r"The worker process stopped \(exit code 4\); its last lines were:\n  broken"):
        supervisor.watch()
    assert output.getvalue().count("starting it again") == 2


def test_the_others_go_on_without_a_dispensable_one(supervisor, output, tmp_path):
    supervisor.start(service("models", "raise SystemExit(1)", tmp_path, restarts=True, dispensable=True))
    assert supervisor.watch(until=lambda: "going on without it" in output.getvalue())


def test_a_command_that_does_not_exist_is_a_death_like_any_other(supervisor, tmp_path):
    supervisor.start(Service("web", ["/no/such/program"], dict(os.environ), tmp_path))
    with pytest.raises(Halt, match="/no/such/program could not be started: No such file or directory"):
        supervisor.watch()


def test_only_the_last_lines_of_a_talkative_service_are_repeated(supervisor, tmp_path):
    supervisor.start(service("web", "for n in range(1000): print('line', n)", tmp_path))
    with pytest.raises(Halt) as halt:
        supervisor.watch()
    assert "line 999" in str(halt.value)
    assert "line 900" not in str(halt.value)


def test_output_that_is_no_text_is_shown_all_the_same(supervisor, output, tmp_path):
    supervisor.start(service("web", "import sys; sys.stdout.buffer.write(b'\\xff caf\\xc3\\xa9\\n')", tmp_path))
    with pytest.raises(Halt):
        supervisor.watch()
    assert "web    | � café\n" in output.getvalue()


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL")])
def test_how_a_process_ended_is_said_in_words(code, words):
    assert describe_exit(code) == words


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_does_not_break_the_live_line_on_a_terminal():
    terminal = Terminal()
    screen = Screen(terminal)
    screen.progress("waiting")
    screen.line("hello", "web")
    screen.finish_progress()
    shown = terminal.getvalue().split("\r\033[K")
    assert shown[1].startswith("waiting ... 0 s")
    assert shown[2].endswith(" hello\n")
    assert shown[3].startswith("waiting ... 0 s")
    assert shown[4] == ""


def test_names_are_coloured_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    Screen(terminal).line("hello", "web")
    assert terminal.getvalue() == "\033[36mweb    |\033[0m hello\n"


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    Screen(terminal).line("hello", "web")
    assert terminal.getvalue() == "web    | hello\n"


def test_a_closed_output_does_not_stop_the_launcher():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    Screen(Closed()).line("nobody hears this")
