"""What the launcher says about the machine it stands on."""

import socket
import sys

import pytest

from launcher import doctor, machine, places
from launcher.errors import Halt
from launcher.screen import Screen

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's C library")


@linux_only
@pytest.mark.parametrize("version", ["2.31", "2.17"])
def test_an_old_glibc_is_named_with_the_way_out(version):
    with pytest.raises(Halt, match=rf"need glibc 2.34 and this machine has {version}: use a newer Linux"):
        machine.check_glibc(("glibc", version))


@linux_only
@pytest.mark.parametrize("version", ["2.34", "2.36", "2.100"])
def test_a_newer_glibc_will_do(version):
    machine.check_glibc(("glibc", version))


@linux_only
def test_another_c_library_is_refused():
    with pytest.raises(Halt, match="need glibc, which this Linux does not use"):
        machine.check_glibc(("", ""))


def test_a_full_disk_says_how_much_room_is_needed(tmp_path):
    with pytest.raises(Halt, match=r"Only 0.3 GB are free .*make room for 2 GB"):
        machine.check_disk(tmp_path, free_bytes=300_000_000)


def test_little_memory_is_said():
    with pytest.raises(Halt, match=r"Only 0.5 GB of memory are free"):
        machine.check_memory(available_bytes=500_000_000)


def test_a_taken_port_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not machine.port_is_free("127.0.0.1", server.getsockname()[1])


def test_a_free_port_can_be_listened_on():
    machine.check_port("127.0.0.1", machine.free_port("127.0.0.1"))


def test_a_free_port_is_none_that_a_connection_may_be_given_meanwhile():
    assert max(machine.free_port("127.0.0.1") for _ in range(50)) < 32_768


def test_doctor_finds_nothing_wrong_with_a_good_machine(tree):
    code, output = tree.finish("doctor")
    assert code == 0
    assert "This machine can run Parley." in output


def test_whoever_chose_a_taken_port_is_told_where_they_chose_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Halt, match=r"LOCAL_MODELS_PORT=\d+ \./parley run"):
            machine.check_port("127.0.0.1", taken.getsockname()[1], setting="LOCAL_MODELS_PORT")


def test_doctor_fails_on_a_taken_port(tree):
    with socket.create_server(("127.0.0.1", tree.port)):
        code, output = tree.finish("doctor")
    assert code == 1
    assert f"MISSING  Port {tree.port} is taken" in output


def test_doctor_does_not_fail_for_what_only_the_tests_need(tree):
    code, output = tree.finish("doctor", PARLEY_CHROMIUM="/no/such/chromium")
    assert code == 0
    assert "without  Chromium: install it, or set PARLEY_CHROMIUM" in output
    assert "without  PostgreSQL: start one and set PARLEY_TEST_POSTGRES_URL" in output


def test_doctor_says_when_a_service_does_not_answer_without_showing_its_password(tree):
    closed = machine.free_port("127.0.0.1")
    _, output = tree.finish("doctor", PARLEY_TEST_REDIS_URL=f"redis://:hunter2@127.0.0.1:{closed}/0")
    assert "Redis: nothing answers at the address in PARLEY_TEST_REDIS_URL" in output
    assert "hunter2" not in output


def test_a_finding_that_is_required_and_absent_counts(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "to_run", lambda: [doctor.Finding(False, True, "no legs")])
    assert doctor.doctor(Screen()) == 1
    assert "1 thing(s) to mend" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME=plain", "plain"),
        ("NAME='quo ted'", "quo ted"),
        ('NAME="with # inside"', "with # inside"),
        ("NAME=plain # a comment", "plain"),
        ("# NAME=commented out", ""),
        ("NAME", ""),
    ],
)
def test_lines_of_an_env_file(tmp_path, line, value):
    (tmp_path / ".env").write_text(f"{line}\n")
    assert places.read_env_file(tmp_path / ".env").get("NAME", "") == value


def test_the_environment_wins_over_the_env_file(tree, eventually):
    tree.write(".env", "PORT=none\n")
    code, _ = tree.finish("doctor")
    assert code == 0
