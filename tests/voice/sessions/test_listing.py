"""The listing of voice/sessions leads to every module of it."""

import re
from pathlib import Path

from voice import sessions

FOLDER = Path(sessions.__file__).parent


def test_every_module_has_its_place_in_the_listing():
    named = set(re.findall(r"`(\w+\.py)`", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in FOLDER.rglob("*.py") if path.name != "__init__.py"}
