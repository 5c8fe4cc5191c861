"""How `parley test` counts, and what it says at the end."""

import io
import subprocess
import sys
from collections import Counter

import pytest

from launcher import places, testing
from launcher.processes import Guardian
from launcher.screen import Screen
from launcher.tally import Tally, tally_of_check, tally_of_node, tally_of_pytest
from launcher.testing import Part, Runner, environment_for_tests, exit_code, summary

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase name="a"/><testcase name="b"/>
<testcase name="c"><failure message="no">trace</failure></testcase>
<testcase name="d"><error message="no">trace</error></testcase>
<testcase name="e"><skipped message="Chromium is not installed"/></testcase>
<testcase name="f"><skipped message="Chromium is not installed"/></testcase>
</testsuite></testsuites>"""

TAP = """TAP version 13
ok 1 - adds
ok 2 - plays # SKIP no audio here
not ok 3 - mutes
# tests 3
# pass 1
# fail 1
# cancelled 0
# skipped 1
# todo 0
"""


def test_pytests_report_is_counted(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    tally = tally_of_pytest(report, 1)
    assert str(tally) == "2 passed, 2 failed, 2 skipped"
    assert tally.reasons == {"Chromium is not installed": 2}


@pytest.mark.parametrize("text", [None, "", "<testsuites><half"])
def test_a_pytest_that_wrote_no_report_has_failed(tmp_path, text):
    report = tmp_path / "report.xml"
    if text is not None:
        report.write_text(text)
    assert tally_of_pytest(report, 0) == Tally(failed=1)


def test_a_bad_exit_without_a_failed_test_is_a_failure(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text("<testsuites><testsuite><testcase name='a'/></testsuite></testsuites>")
    assert tally_of_pytest(report, 139) == Tally(passed=1, failed=1)


def test_nodes_output_is_counted():
    tally = tally_of_node(TAP, 1)
    assert str(tally) == "1 passed, 1 failed, 1 skipped"
    assert tally.reasons == {"no audio here": 1}


def test_a_node_that_said_nothing_has_failed():
    assert tally_of_node("", 0) == Tally(failed=1)


def test_a_check_is_one_thing_that_holds_or_not():
    assert [tally_of_check(0), tally_of_check(1)] == [Tally(passed=1), Tally(failed=1)]


def part(name="tests", passed=0, failed=0, **skips):
    return Part(name, tally=Tally(passed, failed, sum(skips.values()), Counter(skips)))


def test_the_last_line_is_the_sum_of_all_parts():
    lines = summary([part("ruff", passed=1), part(passed=40, failed=2, redis=3)], strict=False)
    assert lines[-1] == "41 passed, 2 failed, 3 skipped"


def test_a_skipped_test_comes_with_its_reason_and_a_remedy():
    skips = part(passed=1)
    skips.tally = Tally(1, 0, 2, Counter({"PostgreSQL is not reachable": 2}))
    row = next(line for line in summary([skips], strict=False) if "SKIPPED" in line)
    assert "2 x PostgreSQL is not reachable -> start PostgreSQL and set PARLEY_TEST_POSTGRES_URL" in row


@pytest.mark.parametrize(
    ("parts", "strict", "code"),
    [
        ([part(passed=1)], False, 0),
        ([part(passed=1, failed=1)], False, 1),
        ([part(passed=1, chromium=1)], False, 0),
        ([part(passed=1, chromium=1)], True, 1),
        ([part()], False, 1),
    ],
)
def test_the_exit_code(parts, strict, code):
    assert exit_code(parts, strict) == code


@pytest.fixture
def run_stages(tmp_path):
    def run(*lanes):
        with Guardian() as guardian:
            (tmp_path / "data").mkdir()
            Runner(guardian, Screen(io.StringIO()), tmp_path, tmp_path / "data").run(lanes)

    return run


def test_lanes_run_all_their_parts(run_stages):
    parts = [Part(f"part {n}", [sys.executable, "-c", f"raise SystemExit({n % 2})"]) for n in range(4)]
    run_stages(parts[:2], parts[2:])
    assert [str(each.tally) for each in parts] == ["1 passed, 0 failed, 0 skipped", "0 passed, 1 failed, 0 skipped"] * 2


def test_each_part_has_its_own_log_and_data_folder(run_stages, tmp_path):
    program = "import os; print(os.environ['PARLEY_DATA_DIR'])"
    run_stages([Part("ruff format", [sys.executable, "-c", program])])
    assert (tmp_path / "ruff-format.log").read_text().strip() == str(tmp_path / "data" / "ruff-format")


def test_a_part_that_hangs_is_ended_and_fails(run_stages, tmp_path):
    hangs = Part("tests", [sys.executable, "-c", "import time; time.sleep(3600)"], limit_s=0.2)
    run_stages([hangs])
    assert hangs.tally == Tally(failed=1)
    assert "so it was ended" in (tmp_path / "tests.log").read_text()


def test_a_part_without_a_command_is_skipped_with_its_reason(run_stages):
    absent = Part("javascript", reason="no Node.js")
    run_stages([absent])
    assert absent.tally == Tally(skipped=1, reasons=Counter({"no Node.js": 1}))


def test_the_tests_do_not_see_the_keys_of_the_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    (tmp_path / ".env.example").write_text("OPENAI_API_KEY=\nDEBUG=\n")
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-1\nSTRIPE_SECRET_KEY=sk-2\n")
    seen = environment_for_tests(tmp_path / "data", {"OPENAI_API_KEY": "sk-3", "DEBUG": "false", "LANG": "C"})
    assert (seen["OPENAI_API_KEY"], seen["STRIPE_SECRET_KEY"], seen["LANG"]) == ("", "", "C")
    assert "DEBUG" not in seen


def test_what_one_process_of_the_tests_has_compiled_the_next_one_finds_whatever_the_shell_says(run_stages, tmp_path):
    (tmp_path / "compiled.py").touch()
    environment = environment_for_tests(tmp_path / "data", {"PYTHONDONTWRITEBYTECODE": "1"})
    subprocess.run([sys.executable, "-c", "import compiled"], env=environment, cwd=tmp_path, check=True)
    assert list((tmp_path / "__pycache__").glob("compiled.*.pyc"))


@pytest.mark.parametrize(
    ("kind", "flags", "code", "last_line"),
    [
        ("passes", ["--strict"], 0, "2 passed, 0 failed, 0 skipped"),
        ("fails", [], 1, "1 passed, 1 failed, 0 skipped"),
        ("skips", [], 0, "1 passed, 0 failed, 1 skipped"),
        ("skips", ["--strict"], 1, "1 passed, 0 failed, 1 skipped"),
    ],
)
def test_what_a_person_sees_of_the_tests_they_asked_for(tree, kind, flags, code, last_line):
    seen, output = tree.finish("test", *flags, "--", "tests/billing", FAKE_PYTEST=kind)
    assert (seen, output.splitlines()[-1]) == (code, last_line)
    assert ("pytest was given tests/billing" in output) == (kind == "fails")


def test_ended_tests_leave_nothing_running(tree, running, eventually):
    launcher = tree.start("test", "--", "tests/billing", FAKE_PYTEST="hangs")
    eventually(lambda: tree.pids("pytest"))
    launcher.terminate()
    assert launcher.wait(60) == 130
    eventually(lambda: not running(tree.pids("pytest")[0]))
    assert "Traceback" not in tree.output


def test_arguments_for_pytest_run_on_two_cores_unless_they_say_otherwise(tmp_path):
    assert "-n" in testing.chosen_part(tmp_path, ["tests/billing", "-k", "hold"]).command
    assert testing.chosen_part(tmp_path, ["-n0", "tests/billing"]).command.count("-n") == 0
    assert "-n" not in testing.chosen_part(tmp_path, ["tests/browser"]).command


@pytest.mark.parametrize(("processors", "processes"), [(1, 2), (2, 2), (3, 3), (64, testing.MOST_WORKERS)])
def test_tests_are_shared_by_as_many_processes_as_there_are_processors_within_reason(processors, processes):
    assert testing.workers(processors) == processes


def test_every_folder_of_tests_is_run_by_one_part(tmp_path):
    ignored = {word.removeprefix("--ignore=") for word in testing.bulk_part(tmp_path).command if "--ignore" in word}
    folders = {part.command[-1] for part in testing.real_time_parts(tmp_path)}
    assert ignored == folders == {"tests/browser", "tests/clients"}


def test_everything_is_run_and_browsers_by_themselves(tmp_path):
    first, last = testing.stages_of_all(tmp_path)
    names = [part.name for lane in first for part in lane]
    checks = [part.name for part in testing.check_parts()]
    assert sorted(names) == sorted(["javascript", *checks, "tests", "clients"])
    assert [[part.name for part in lane] for lane in last] == [["browser"]]


def test_what_kills_step_after_step_is_left_to_chaos_and_nothing_else_is(tmp_path):
    here, there = testing.bulk_part(tmp_path), testing.crash_part(tmp_path)
    marks = [part.command[part.command.index("-m", 3) + 1] for part in (here, there)]
    assert marks == ["not crash", "crash"]
    assert here.command[-6:] == there.command[-6:]
    assert there.limit_s < here.limit_s
