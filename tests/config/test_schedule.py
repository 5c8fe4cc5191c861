"""What the schedule names is there: a mistyped task would be noticed by nobody."""

from config.celery import app


def test_every_scheduled_task_exists():
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert scheduled <= set(app.tasks)


def test_what_keeps_models_on_offer_is_scheduled():
    tasks = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    # As soon as the first look at a model that was given up is due.
    assert tasks["voice.tasks.probe_models"] <= 15
    assert "voice.tasks.watch_shutdowns" in tasks
