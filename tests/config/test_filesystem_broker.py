"""Celery's queue on files, as several processes use it at once."""

import threading

import pytest
from kombu import Connection
from kombu.transport import filesystem

from config.filesystem_broker import filesystem_broker_options, use_whole_messages

MESSAGES = 60


@pytest.fixture
def connection(tmp_path):
    use_whole_messages()
    with Connection("filesystem://", transport_options=filesystem_broker_options(tmp_path)) as connection:
        yield connection


def test_a_reader_that_polls_while_others_write_gets_every_message_whole(connection):
    def write(first: int) -> None:
        with connection.clone() as mine, mine.SimpleQueue("work") as queue:
            for number in range(first, first + MESSAGES // 2):
                queue.put({"number": number, "filler": "x" * 2000})

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, MESSAGES // 2)]
    received = set()
    with connection.SimpleQueue("work") as queue:
        for writer in writers:
            writer.start()
        while len(received) < MESSAGES:
            message = queue.get(timeout=10)
            received.add(message.payload["number"])
            message.ack()
    for writer in writers:
        writer.join()
    assert received == set(range(MESSAGES))


def test_a_worker_that_waits_for_work_looks_whether_it_shall_stop_before_celerys_two_seconds_are_over(
    connection, monkeypatch
):
    waits = []
    monkeypatch.setattr(
        filesystem.Transport, "drain_events", lambda self, connection, timeout=None: waits.append(timeout)
    )
    for timeout in (2.0, 0.1, None):
        connection.drain_events(timeout=timeout)
    assert waits == [0.25, 0.1, None]
