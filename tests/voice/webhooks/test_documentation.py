"""What docs/webhooks.md tells receivers to do works, and what it lists is what there is."""

import re
import time
from pathlib import Path

from voice.models import EventType
from voice.webhooks import schedule
from voice.webhooks.events import TEST_EVENT, body_of

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def is_genuine(*args):
    sample = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert sample
    names = {}
    exec(sample[1], names)
    return names["is_genuine"](*args)


def test_the_sample_takes_what_we_send(happen, work, receiver, endpoint):
    happen(balance_micro=7)
    work()
    (received,) = receiver.received
    assert is_genuine(endpoint.secret, received.headers, received.body)


def test_the_sample_refuses_what_was_changed(happen, work, receiver, endpoint):
    happen(balance_micro=7)
    work()
    (received,) = receiver.received
    assert not is_genuine(endpoint.secret, received.headers, received.body.replace(b"7", b"8"))


def test_the_sample_refuses_what_is_old(happen, work, receiver, endpoint):
    happen()
    work()
    (received,) = receiver.received
    old = {**received.headers, "webhook-timestamp": str(int(time.time()) - 600)}
    assert not is_genuine(endpoint.secret, old, received.body)


def test_every_event_is_described():
    described = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", TEXT))
    assert {*EventType.values, TEST_EVENT} <= described


def test_the_body_has_the_members_that_are_described(happen):
    assert set(re.findall(rb'"(\w+)":', body_of(happen()))) == {b"data", b"timestamp", b"type"}


def test_the_retry_table_is_the_schedule():
    row = re.search(r"\| after the one before \| at once \|(.*)\|", TEXT)
    assert row
    units = {"s": 1, "min": 60, "h": 3600}
    described = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", row[1])]
    assert tuple(described) == schedule.PAUSES_S
