"""What an operator reads at night is true: alerts name runbooks that exist, and those name commands that exist."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from config import metrics
from launcher.cli import parser
from voice.models import EndReason

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUNBOOKS = sorted(path for path in (DOCS / "runbooks").glob("*.md") if path.name != "README.md")
SECTIONS = ["Do not", "Confirm", "Contain", "Fix", "Verify", "Afterwards"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
ALERTS = (DOCS / "alerts.md").read_text(encoding="utf-8")
METRICS = set(re.findall(r'"(parley_\w+)"', Path(metrics.__file__).read_text(encoding="utf-8")))


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=name_of)
def test_a_runbook_has_its_six_sections_in_their_order(runbook):
    text = runbook.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=name_of)
def test_no_section_of_a_runbook_is_empty(runbook):
    sections = re.split(r"^## .+$", runbook.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)


def test_every_runbook_is_in_the_index_and_nothing_else_is():
    index = (DOCS / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == {path.name for path in RUNBOOKS}


def test_every_alert_names_a_runbook_that_exists():
    named = re.findall(r"runbook: (\S+?)}", ALERTS)
    assert len(named) == ALERTS.count("- alert: ") > 0
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_runbook_is_named_by_an_alert():
    assert [path.name for path in RUNBOOKS if f"runbooks/{path.name}" not in ALERTS] == []


def test_alerts_and_runbooks_watch_metrics_that_exist():
    watched = {
        name for page in [DOCS / "alerts.md", *RUNBOOKS] for name in re.findall(r"\bparley_[a-z_]+", page.read_text())
    }
    # Databases of examples are called so, too.
    assert watched - METRICS <= {"parley_restored"}


def test_alerts_ask_for_reasons_that_calls_end_for():
    asked = {
        reason for listed in re.findall(r'ended_last_hour\{reason=~?"([^"]+)"', ALERTS) for reason in listed.split("|")
    }
    assert asked and asked <= set(EndReason.values)


def test_no_alert_reads_a_gauge_as_a_counter():
    # One that falls from three to one has not grown by one.
    assert re.findall(r"\b(?:increase|i?rate|resets)\(", ALERTS) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_run_exists(page):
    text = page.read_text(encoding="utf-8")
    launched = set(re.findall(r"(?:\./|python )parley ([a-z]+)", text))
    managed = set(re.findall(r"manage\.py ([a-z][a-z_]+)", text))
    assert launched <= set(parser()._subparsers._group_actions[0].choices)
    assert managed <= set(get_commands())


@pytest.mark.parametrize("page", RUNBOOKS + [DOCS / "backup.md", DOCS / "alerts.md"], ids=name_of)
def test_the_options_a_page_gives_to_a_command_exist(page):
    commands = get_commands()
    for name, rest in re.findall(r"manage\.py ([a-z][a-z_]+)([^`\n]*)", page.read_text(encoding="utf-8")):
        known = load_command_class(commands[name], name).create_parser("manage.py", name)._option_string_actions
        assert [option for option in re.findall(r"(?<!\S)--[a-z-]+", rest) if option not in known] == [], name


@pytest.mark.parametrize("page", [*RUNBOOKS, DOCS / "alerts.md", DOCS / "backup.md"], ids=name_of)
def test_the_pages_it_links_to_exist(page):
    links = re.findall(r"\]\(([^)#:]+?)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
