"""Daphne on uvloop, its websockets on picows: `python -m config.daphne_server`, with Daphne's own options."""

import asyncio
import contextlib
from typing import Any, cast

from twisted.internet import asyncioreactor


def main() -> None:
    # Twisted's reactor is chosen before anything of Daphne is imported, and for good.
    cast(Any, asyncioreactor).install(_event_loop())
    from config.daphne_websockets import CommandLine

    CommandLine.entrypoint()


def _event_loop() -> asyncio.AbstractEventLoop:
    with contextlib.suppress(ImportError):  # there is none for Windows
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.SelectorEventLoop()


if __name__ == "__main__":
    main()
