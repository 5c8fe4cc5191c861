"""What gets installed when, and what a person reads when it fails."""

import pytest

from launcher import install


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: command '/usr/bin/gcc' failed: No such file or directory", "a package has to be compiled here"),
        ("error: command 'x86_64-linux-gnu-gcc' failed with exit code 1", "a package has to be compiled here"),
        ("pep.c:1:10: fatal error: Python.h: No such file or directory", "a package has to be compiled here"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n"
            "ERROR: No matching distribution found for django==5.2",
            "a download failed: check the network",
        ),
        ("socket.timeout: Read timed out.", "a download failed: check the network"),
        (
            "ERROR: No matching distribution found for moonshine-voice==0.1.0",
            "a package does not exist for this Python",
        ),
        ("ERROR: Something nobody foresaw.", "ERROR: Something nobody foresaw"),
    ],
)
def test_a_failed_installation_is_one_sentence_that_names_the_log(tree, pip_says, sentence):
    code, output = tree.finish("run", FAKE_PIP_SAYS=pip_says)
    assert code == 1
    last = output.splitlines()[-1]
    assert last.startswith(f"parley: Installing the web server and the worker failed: {sentence}")
    assert str(tree.data / "install.log") in last
    assert "Traceback" not in output


def test_a_failed_installation_is_tried_again_next_time(tree):
    tree.finish("run", FAKE_PIP_SAYS="Read timed out")
    tree.finish("run", FAKE_PIP_SAYS="Read timed out")
    assert len(tree.calls("pip")) == 2


def test_what_was_installed_before_a_failure_is_not_installed_again(tree, eventually):
    (tree.root / "local_models" / "requirements.txt").rename(tree.root / "aside")
    tree.finish("run", "--no-worker", FAKE_MANAGE="fails")
    (tree.root / "aside").rename(tree.root / "local_models" / "requirements.txt")
    tree.finish("run", "--no-worker", FAKE_MANAGE="fails")
    assert ["local_models" in call for call in tree.calls("pip")] == [False, True]


def test_only_a_changed_requirement_file_is_installed_anew(tree):
    tree.finish("run", FAKE_MANAGE="fails")
    tree.write("requirements.txt", "django==6\n")
    tree.finish("run", FAKE_MANAGE="fails")
    *_, last = tree.calls("pip")
    assert len(tree.calls("pip")) == 3
    assert last.endswith(f"-r {tree.root / 'requirements.txt'}")


def test_an_installation_ends_with_the_launcher(tree, running, eventually):
    launcher = tree.start("run", FAKE_PIP="hangs")
    eventually(lambda: tree.pids("pip"))
    launcher.terminate()
    assert launcher.wait(60) == 130
    assert not running(tree.pids("pip")[0])
    assert tree.output.endswith("parley: stopped.\n")


def test_no_package_index_is_named(tree):
    tree.finish("run", FAKE_MANAGE="fails")
    assert not any("index-url" in call or "://" in call for call in tree.calls("pip"))


def test_without_models_theirs_is_not_installed(tree):
    tree.finish("run", "--no-models", FAKE_MANAGE="fails")
    assert not any("local_models" in call for call in tree.calls("pip"))


def test_a_folder_that_is_no_virtual_environment_is_left_alone(tree):
    tree.write("mine/precious.txt", "keep me")
    code, output = tree.finish("run", PARLEY_VENV="mine")
    assert code == 1
    assert "holds something else: name a folder that is new or empty" in output
    assert (tree.root / "mine" / "precious.txt").read_text() == "keep me"


def test_a_virtual_environment_works_until_its_python_has_gone(tree, monkeypatch):
    monkeypatch.setenv("PARLEY_VENV", str(tree.venv))
    assert install.venv_works()
    (tree.venv / "bin" / "python").unlink()
    assert not install.venv_works()


def test_progress_counts_what_pip_has_collected(tmp_path):
    log = tmp_path / "install.log"
    log.write_bytes(b"Collecting django==5.2\n  Downloading django\nCollecting asgi")
    counter = install.PackageCounter(log)
    assert counter.describe() == "1 packages"
    with log.open("ab") as file:
        file.write(b"ref\nInstalling collected packages: asgiref, django\n")
    assert counter.describe() == "unpacking 2 packages"
    assert counter.summary() == ": 2 packages"


def test_a_damaged_stamp_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_VENV", str(tmp_path))
    for damage in ("{", "[]", ""):
        (tmp_path / install.STAMP).write_text(damage)
        assert install.read_stamp() == {}
