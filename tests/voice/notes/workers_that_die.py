"""Celery workers on demand: `python workers_that_die.py DATABASE QUEUE`, then the name of a step on each line of stdin.

Each line makes one worker, forked from here so that it starts at once. It hands over what is due, takes messages from
the real broker and kills itself with SIGKILL at the step; without one ("") it ends when nothing is left to do. What
became of it, its exit code or minus its signal, is printed, and nothing else: what workers print goes to stderr.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
from django.conf import settings


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def main(database: str, queue: str) -> None:
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from config.celery import app

    # Loaded here once, and not by each worker: all that one reads before it listens.
    for name in ("celery.apps.worker", "celery.bin.celery", "celery.worker.consumer", "config.urls"):
        import_module(name)
    app.loader.import_default_modules()

    app.conf.task_default_queue = queue
    app.conf.broker_pool_limit = 0
    print("ready", file=results, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(app, line.strip())
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=results, flush=True)


def work(app: Any, step: str) -> None:
    from celery import signals
    from django.utils import timezone

    from outbox import messages
    from outbox.models import OutboxMessage

    STEPS[step]()

    def begin(**_: Any) -> None:
        messages.hand_over_due(timezone.now())

    def stop_when_done(sender: Any = None, **_: Any) -> None:
        if not OutboxMessage.objects.filter(state="pending").exists():
            from celery.worker import state

            state.should_stop = 0

    signals.worker_ready.connect(begin, weak=False)
    signals.task_postrun.connect(stop_when_done, weak=False)
    # A worker in which nothing happens any more is a failure, not a wait without end.
    signal.alarm(40)
    with contextlib.suppress(SystemExit):
        app.worker_main(["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=CRITICAL"])


def before(module: str, name: str) -> Callable[[], None]:
    """Die instead of calling the function."""
    return lambda: _replace(module, name, lambda _: die)


def after(module: str, name: str, *, when: Callable[..., bool] = lambda *_, **__: True) -> Callable[[], None]:
    """Call the function, and die before anybody learns what it returned."""

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if when(*args, **kwargs):
                die()
            return result

        return call

    return lambda: _replace(module, name, dying)


def _replace(module: str, name: str, change: Callable[[Any], Any]) -> None:
    loaded = __import__(module, fromlist=[name])
    setattr(loaded, name, change(getattr(loaded, name)))


def _asked(path: str) -> Callable[..., bool]:
    return lambda method, url, **_: url.endswith(path)


def _kind_done(kind: str) -> Callable[..., bool]:
    return lambda message: message.kind == kind


# Of the message's own last step: it is done, and its row does not say so yet.
def _before_done(kind: str) -> Callable[[], None]:
    return after("outbox.messages", "_ours", when=_kind_done(kind))


STEPS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    # In the order in which they happen.
    "before the note is asked for": before("outbox.messages", "put"),
    "before the end of the call is done": _before_done("conversation_ended"),
    "before the credits are held": before("voice.notes.payment", "hold"),
    "before the model is asked": before("voice.notes.summarise", "complete"),
    "when the model has answered": after("voice.notes.summarise", "complete"),
    "when a bad answer is stored": after("voice.notes.summarise", "_store_bad"),
    "before the note is charged": before("voice.notes.payment", "charge"),
    "when the note is charged and not committed": after("voice.notes.payment", "charge"),
    "when the deliveries are put and not committed": after("voice.notes.summarise", "put_deliveries"),
    "when the note is committed": after("voice.notes.summarise", "_store"),
    "before the note's message is done": _before_done("write_note"),
    "before the contact is looked for": before("voice.notes.crm.hubspot", "send"),
    "when the contact is made": after("voice.notes.crm.hubspot", "send", when=_asked("/objects/contacts")),
    "when HubSpot has the note": after("voice.notes.crm.hubspot", "send", when=_asked("/objects/notes")),
    "when the receiver has the note": after("voice.notes.crm.webhook", "send"),
    "before a delivery is written down": before("voice.notes.deliver", "_end"),
    "before a delivery's message is done": _before_done("deliver_note"),
}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
