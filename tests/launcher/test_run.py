"""`parley run` as a person meets it, on a tree of fakes."""

import os
import signal
import socket

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX; elsewhere the launcher does without")


def test_it_says_where_it_is_and_what_it_runs_on(tree):
    tree.start_and_wait()
    assert f"Parley is ready at http://127.0.0.1:{tree.port}/" in tree.output
    assert "no OPENAI_API_KEY: using the embedded models" in tree.output
    assert "./parley admin you@example.com" in tree.output
    assert "/dev/mail/" in tree.output


def test_a_key_in_the_env_file_is_noticed(tree):
    tree.write(".env", "# mine\nOPENAI_API_KEY='sk-not-a-key'\n")
    tree.start_and_wait()
    assert "OpenAI (OPENAI_API_KEY is set); the embedded models stand by" in tree.output
    assert "sk-not-a-key" not in tree.output


def test_the_database_is_prepared_before_anything_starts(tree):
    tree.start_and_wait()
    assert tree.calls("manage") == ["prepare"]


def test_an_address_that_others_can_reach_is_not_run_in_development_mode(tree):
    tree.start_and_wait(HOST="0.0.0.0")
    assert tree.calls("manage") == ["prepare --static"]
    assert "/dev/mail/" not in tree.output


def test_the_worker_starts_when_what_it_looks_at_is_there(tree, eventually):
    tree.start_and_wait()
    eventually(lambda: "worker is up" in tree.output)
    assert tree.output.index("models listens") < tree.output.index("worker is up")


def test_every_line_of_output_names_its_process(tree, eventually):
    tree.start_and_wait()
    eventually(lambda: "worker is up" in tree.output)
    assert "web    | web listens\n" in tree.output
    assert "worker | worker is up\n" in tree.output
    assert "models | models listens\n" in tree.output


def test_no_colour_without_a_terminal(tree):
    tree.start_and_wait()
    assert "\033" not in tree.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_exits_with_0(tree, running, eventually, number):
    launcher = tree.start_and_wait()
    launcher.send_signal(number)
    assert launcher.wait(60) == 0
    eventually(lambda: not any(map(running, tree.all_pids())))
    assert "Everything has stopped." in tree.output


@pytest.mark.parametrize(
    ("number", "heard"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT"), (signal.SIGHUP, "SIGINT")]
)
def test_only_sigterm_gives_calls_their_time(tree, number, heard):
    """At the keyboard somebody waits. What holds no calls is asked in the same way by any signal."""
    launcher = tree.start_and_wait()
    launcher.send_signal(number)
    assert launcher.wait(60) == 0
    assert f"web heard {heard}\n" in tree.output
    assert "models heard SIGTERM\n" in tree.output


def test_a_killed_launcher_leaves_nothing_behind(tree, running, eventually):
    launcher = tree.start_and_wait()
    eventually(lambda: len(tree.all_pids()) == 4)
    launcher.kill()
    launcher.wait(60)
    eventually(lambda: not any(map(running, tree.all_pids())))


def test_a_new_run_waits_for_what_a_killed_one_left(tree, running, eventually):
    first = tree.start_and_wait(FAKE_SCHEDULE="stubborn")
    left = tree.all_pids()
    first.kill()
    first.wait(60)
    eventually(lambda: not running(tree.pids("web")[0]))  # its port is free again, while the schedule lives on
    tree.start_and_wait()
    assert not any(map(running, left))


def test_a_second_signal_does_not_wait_for_a_process_that_will_not_end(tree, running, eventually):
    launcher = tree.start_and_wait(FAKE_WEB="stubborn")
    launcher.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in tree.output)
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(60) == 0
    eventually(lambda: not any(map(running, tree.all_pids())))


@pytest.mark.parametrize("name", ["worker", "models"])
def test_a_dead_helper_is_started_again(tree, running, eventually, name):
    launcher = tree.start_and_wait()
    os.kill(tree.pids(name)[0], signal.SIGKILL)
    eventually(lambda: len(tree.pids(name)) == 2)
    assert launcher.poll() is None
    assert f"{name} stopped (killed by SIGKILL); starting it again" in tree.output


def test_a_dead_workers_schedule_does_not_live_on_beside_the_new_one(tree, running, eventually):
    tree.start_and_wait()
    os.kill(tree.pids("worker")[0], signal.SIGKILL)
    eventually(lambda: len(tree.pids("schedule")) == 2)
    assert not running(tree.pids("schedule")[0])


def test_the_web_servers_death_ends_the_run_with_its_last_words(tree, running, eventually):
    code, output = tree.finish("run", FAKE_WEB="dies")
    assert code == 1
    assert "parley: The web process stopped (exit code 3); its last lines were:\n" in output
    assert output.endswith("  the web's last words\n")
    eventually(lambda: not any(map(running, tree.all_pids())))


def test_a_second_run_installs_nothing(tree):
    tree.start_and_wait().terminate()
    tree.started[0].wait(60)
    calls = len(tree.calls("pip"))
    tree.start_and_wait()
    assert len(tree.calls("pip")) == calls == 2


def test_a_taken_port_is_one_sentence_with_a_way_out(tree):
    with socket.create_server(("127.0.0.1", tree.port)):
        code, output = tree.finish("run")
    assert code == 1
    assert output.startswith(f"parley: Port {tree.port} is taken by another program: stop that one, or")
    assert output.count("\n") == 1


@pytest.mark.parametrize("port", ["eight", "0", "70000", "-1"])
def test_a_port_that_is_none_is_one_sentence(tree, port):
    code, output = tree.finish("run", PORT=port)
    assert (code, output) == (1, f"parley: PORT must be a port number from 1 to 65535, not {port!r}.\n")


def test_a_host_that_is_none_of_this_machines_is_one_sentence(tree):
    code, output = tree.finish("run", HOST="192.0.2.1")
    assert code == 1
    assert output.startswith("parley: HOST is '192.0.2.1', which is no address of this machine")


def test_a_failed_migration_says_which_command_and_shows_its_last_lines(tree):
    code, output = tree.finish("run", FAKE_MANAGE="fails")
    assert code == 1
    assert "parley: 'manage.py prepare' failed" in output
    assert output.endswith("  no such table: wallet\n")


def test_two_runs_cannot_share_one_data_folder(tree):
    tree.start_and_wait()
    code, output = tree.finish("run", PORT=str(tree.port + 1), LOCAL_MODELS_PORT=str(tree.models_port + 1))
    assert code == 1
    assert output.startswith("parley: Parley is already running on the data in")


def test_without_models_and_worker_only_the_web_server_runs(tree, eventually):
    tree.start("run", "--no-models", "--no-worker")
    eventually(lambda: "Parley is ready" in tree.output)
    assert [tree.pids("models"), tree.pids("worker")] == [[], []]
