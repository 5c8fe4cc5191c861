"""Celery: its queues, and the whole schedule as one table."""

import os
from typing import Any

from billiard.process import active_children
from celery import Celery
from celery.signals import worker_shutdown

from config.filesystem_broker import use_whole_messages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_SCHEDULE_ENDS_WITHIN_S = 2.0

use_whole_messages()
app = Celery("parley")
app.config_from_object("django.conf:settings", namespace="CELERY")

app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=300,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    # What a worker's clock sleeps at a time, and thereby how long it takes to stop; a second if not said.
    worker_timer_precision=0.25,
    beat_schedule={
        "hand-over-outbox": {"task": "outbox.tasks.sweep_outbox", "schedule": 30.0},
        "handle-left-stripe-events": {"task": "billing.tasks.sweep_stripe_events", "schedule": 30.0},
        "ask-about-open-purchases": {"task": "billing.tasks.sweep_purchases", "schedule": 300.0},
        "issue-missing-papers": {"task": "billing.tasks.issue_missing_papers", "schedule": 300.0},
        "refill-wallets": {"task": "billing.tasks.sweep_top_ups", "schedule": 60.0},
        "expire-granted-credits": {"task": "billing.tasks.expire_granted_credits", "schedule": 300.0},
        "audit-books": {"task": "billing.tasks.audit_books", "schedule": 86400.0},
        "settle-dead-sessions": {"task": "voice.tasks.sweep_sessions", "schedule": 30.0},
        # Beats that nobody took while no worker lived say nothing of the present.
        "beat": {"task": "voice.tasks.beat", "schedule": 30.0, "options": {"expires": 25}},
        "forget-old-checks": {"task": "voice.tasks.forget_old_checks", "schedule": 86400.0},
        # A look that came late is not made up for: the next one is near.
        "probe-models": {"task": "voice.tasks.probe_models", "schedule": 15.0, "options": {"expires": 15}},
        # Daily work, done hourly, because a machine may sleep: each warning is given once.
        "watch-shutdowns": {"task": "voice.tasks.watch_shutdowns", "schedule": 3600.0},
        "forget-webhook-deliveries": {"task": "voice.tasks.forget_old_webhook_deliveries", "schedule": 86400.0},
        # Not only at night: a machine may sleep then.
        "delete-expired-words": {"task": "voice.tasks.delete_expired_words", "schedule": 3600.0},
        "forget-api-answers": {"task": "voice.tasks.forget_old_api_answers", "schedule": 3600.0},
        "forget-client-addresses": {"task": "voice.tasks.forget_client_addresses", "schedule": 3600.0},
    },
)
app.autodiscover_tasks()


def end_schedule_first(**_: Any) -> None:
    """Let a worker outlive the process of its schedule, which Celery has told to end by now but waits for nowhere.

    Otherwise it is left to init as a dead process of this worker's, and some take seconds or for ever to clear it away.
    """
    for child in active_children():
        child.join(_SCHEDULE_ENDS_WITHIN_S)


worker_shutdown.connect(end_schedule_first)
