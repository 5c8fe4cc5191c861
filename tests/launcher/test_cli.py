"""The command line before anything is installed: help, refusals, an old Python."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["test", "--help"], ["doctor", "--help"]])
def test_help_needs_nothing_installed(tree, words):
    code, output = tree.finish(*words)
    assert code == 0
    assert output.startswith("usage: parley")
    assert tree.calls("pip") == []


def test_no_command_shows_the_commands(tree):
    code, output = tree.finish()
    assert code == 2
    assert "usage: parley" in output


def test_an_old_python_is_one_sentence():
    pretend = "import runpy, sys; sys.version_info = (3, 8, 18); runpy.run_path('parley', run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        "parley: needs Python 3.11+, this is 3.8: install a newer one and use 'python3.11 parley'.\n"
    )


def test_an_old_python_can_read_the_file_that_says_so():
    ast.parse((ROOT / "parley").read_text(), feature_version=(3, 4))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_the_launcher_is_executable():
    assert os.access(ROOT / "parley", os.X_OK)


def test_the_launcher_imports_nothing_but_the_standard_library():
    imported = set()
    for path in (ROOT / "launcher").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - {"launcher"} <= sys.stdlib_module_names


@pytest.mark.parametrize("command", ["bench", "chaos"])
def test_a_command_whose_programs_are_absent_says_so(tree, command):
    code, output = tree.finish(command, "--any", "thing")
    assert code == 1
    assert output.startswith("parley: This copy of Parley has no ")


def test_bench_gets_its_arguments_as_they_are(tree):
    tree.write("bench/__main__.py", "import sys; print('bench got', sys.argv[1:]); sys.exit(7)")
    code, output = tree.finish("bench", "--help", "-x", "5")
    assert code == 7
    assert "bench got ['--help', '-x', '5']\n" in output


def test_admin_makes_an_operator_while_parley_runs(tree):
    tree.start_and_wait()
    code, _ = tree.finish("admin", "alice@example.com")
    assert code == 0
    assert tree.calls("manage")[-1] == "make_operator alice@example.com"


def test_an_unwritable_data_folder_is_one_sentence(tree):
    tree.write("a-file", "")
    code, output = tree.finish("run", PARLEY_DATA_DIR="a-file/data")
    assert code == 1
    assert output.startswith("parley: The system refused: Not a directory (")
    assert output.count("\n") == 1


def test_only_test_takes_arguments_after_dashes(tree):
    code, output = tree.finish("run", "--", "tests/billing")
    assert (code, output) == (2, "parley: Only 'parley test' takes arguments after --.\n")
