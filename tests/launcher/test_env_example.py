""".env.example is the list of every setting: nothing is missing from it, nothing in it is made up."""

import re
from pathlib import Path

from launcher.places import read_env_file

ROOT = Path(__file__).resolve().parents[2]
READER = re.compile(r'\b(?:env|places)\.(?:text|secret|flag|integer|choice|words|setting|number)\(\s*"([A-Z_]+)"')


def names_read():
    sources = [path for folder in ("config", "launcher") for path in (ROOT / folder).glob("*.py")]
    return {name for path in sources for name in READER.findall(path.read_text(encoding="utf-8"))}


def test_every_setting_is_in_the_example_and_no_other():
    places = {"PARLEY_DATA_DIR", "PARLEY_VENV"}  # read inside launcher/places.py itself
    # A secret's file is explained once, at the top of the example.
    read = {name for name in names_read() if not name.endswith("_FILE")} | places
    assert set(read_env_file(ROOT / ".env.example")) == read


def test_a_copied_example_changes_nothing():
    assert set(read_env_file(ROOT / ".env.example").values()) == {""}
