"""Only the model files that were measured are loaded."""

import hashlib
import sys

import pytest

from local_models.model_files import ALL_FILES, ModelFile, ModelFilesError, verify


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "some_voice").mkdir()
    (tmp_path / "some_voice" / "__init__.py").touch()
    (tmp_path / "some_voice" / "model.onnx").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    yield "some_voice"
    sys.modules.pop("some_voice", None)


def test_a_file_with_the_right_hash_passes(package):
    verify((ModelFile(package, "model.onnx", hashlib.sha256(b"weights").hexdigest()),))


def test_a_file_that_was_changed_is_refused(package):
    with pytest.raises(ModelFilesError, match="refusing to load"):
        verify((ModelFile(package, "model.onnx", "0" * 64),))


def test_a_missing_file_and_a_missing_package_say_what_to_install(package):
    with pytest.raises(ModelFilesError, match="install"):
        verify((ModelFile(package, "other.onnx", "0" * 64),))
    with pytest.raises(ModelFilesError, match="pip install"):
        verify((ModelFile("no_such_package_here", "model.onnx", "0" * 64),))


def test_the_installed_models_are_the_ones_that_were_measured():
    verify(ALL_FILES)
