"""Run the embedded models: python -m local_models --host 127.0.0.1 --port 8790."""

import argparse
import ipaddress
import logging
import sys

import uvicorn

from local_models.model_files import ModelFilesError
from local_models.server import WAITING_MAX, WORKERS, create_app, embedded_models


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped. Returns 1 with one sentence on standard error when it cannot."""
    options = _parser().parse_args(arguments)
    if not is_loopback(options.host):
        return _refuse(f"{options.host} is not a loopback address: this server has no keys and must not be reachable.")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        models = embedded_models(options.workers, options.waiting)
    except ModelFilesError as error:
        return _refuse(str(error))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(models),
            host=options.host,
            port=options.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )
    failures: list[str] = []

    def stop(message: str) -> None:
        failures.append(message)
        server.should_exit = True

    models.on_failure = stop
    server.run()
    return _refuse(failures[0]) if failures else 0


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the address. Other names than localhost are not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_models", description="The embedded models, on loopback.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--workers", type=int, default=WORKERS, choices=range(1, 17), metavar="1..16")
    parser.add_argument("--waiting", type=int, default=WAITING_MAX, help="requests that may wait for a worker")
    return parser


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
