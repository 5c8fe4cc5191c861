"""Programs run with the settings and the database of the running product: for what no page can do."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def in_product(product, program, *arguments):
    """Run a program with the settings of the running product; return what it printed."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PARLEY_DATA_DIR": str(product.data_dir),
        "DEBUG": "true",
        "SECRET_KEY": "",
        "DATABASE_URL": "",
        "CELERY_TASK_ALWAYS_EAGER": "",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=120, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
