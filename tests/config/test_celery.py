"""How a worker ends."""

import subprocess
import sys

# In an interpreter of its own: a fork of the tests' process would have its threads' locks.
WORKER_WITH_A_SCHEDULE = """
import os, time
from billiard import get_context
from celery.signals import worker_shutdown
from config import celery

celery._SCHEDULE_ENDS_WITHIN_S = float(os.environ["WITHIN_S"])
schedule = get_context("fork").Process(target=time.sleep, args=(60,))
schedule.start()
if os.environ["IS_TOLD"]:
    schedule.terminate()
worker_shutdown.send(sender=None)
try:
    os.kill(schedule.pid, 0)
    print("left behind")
except ProcessLookupError:
    print("cleared away")
schedule.terminate()
"""


def end_of_schedule(**env):
    command = [sys.executable, "-c", WORKER_WITH_A_SCHEDULE]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_a_worker_leaves_no_dead_schedule_behind():
    assert end_of_schedule(IS_TOLD="yes", WITHIN_S="30") == "cleared away"


def test_a_worker_does_not_wait_for_a_schedule_that_does_not_end():
    assert end_of_schedule(IS_TOLD="", WITHIN_S="0.01") == "left behind"
