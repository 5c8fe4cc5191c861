"""Celery's broker on plain files: a task queue for one machine, with nothing to install."""

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


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


# A worker looks whether it shall stop each time its wait for messages ends; Celery would have it wait for two seconds.
_WAIT_S = 0.25


class Channel(filesystem.Channel):
    """kombu's, with messages that appear whole: a reader that polls often meets half-written files, and dies of one."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / f"{name}.draft"  # no reader takes a name with this ending
        draft.write_text(str(dumps(payload)), encoding="utf-8")
        draft.replace(folder / name)

    def get_table(self, exchange: str) -> Any:
        # The table of a queue that another process is just declaring may be read half-written too.
        for _ in range(20):
            try:
                return super().get_table(exchange)
            except ValueError:
                time.sleep(0.05)
        return super().get_table(exchange)


class Transport(filesystem.Transport):
    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        super().drain_events(connection, timeout=None if timeout is None else min(timeout, _WAIT_S))


def use_whole_messages() -> None:
    """Make kombu's `filesystem://` mean the transport above."""
    TRANSPORT_ALIASES["filesystem"] = "config.filesystem_broker:Transport"
