"""Celery's broker on plain files: a task queue for one machine, with nothing to install."""

from pathlib import Path
from typing import Any


def filesystem_broker_options(folder: Path) -> dict[str, Any]:
    """Return kombu's transport options for a queue kept in `folder`, which is made if need be."""
    for name in ("queue", "control", "processed"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "processed_folder": str(folder / "processed"),
        # The default of one second makes a task wait for up to twenty; 50 ms costs next to nothing.
        "polling_interval": 0.05,
    }
