"""Every reason for which a call leaves a model has words for whoever looks at it."""

import re
from pathlib import Path

from voice.catalogue.left_because import left_because
from voice.sessions.fallback.failures import PLANNED
from voice.sessions.fallback.rungs import TAKEN_OVER

VOICE = Path(__file__).resolve().parents[3] / "voice"
RAISED = re.compile(r'Upstream(?:Error|Dropped|Refused|Timeout)\(\s*"(\w+)"')


def test_every_code_has_words():
    sources = [*VOICE.glob("sessions/*.py"), *VOICE.glob("upstream/**/*.py")]
    codes = {code for source in sources for code in RAISED.findall(source.read_text(encoding="utf-8"))}
    codes |= {*PLANNED, TAKEN_OVER}
    assert len(codes) > 10
    assert sorted(code for code in codes if code in left_because(code)) == []


def test_a_code_of_a_later_version_is_shown_as_it_is():
    assert left_because("upstream_moody") == "It failed (upstream_moody)"
    assert left_because("") == ""
