"""When a server counts as ready."""

import http.server
import threading

import pytest

from launcher.machine import free_port
from launcher.run import answers, is_loopback, reachable


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "https://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (301, True), (400, True), (500, False), (503, False)])
def test_a_server_that_takes_requests_is_ready_even_if_it_refuses_this_one(server, status, ready):
    assert answers(f"{server}/{status}") is ready


def test_nobody_there_is_not_ready():
    assert not answers(f"http://127.0.0.1:{free_port('127.0.0.1')}/200")


@pytest.mark.parametrize(
    ("host", "in_address"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3"), ("::1", "[::1]")]
)
def test_the_address_is_one_that_can_be_called(host, in_address):
    assert reachable(host) == in_address


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("desk.example.com", False)],
)
def test_only_an_address_that_others_cannot_reach_is_loopback(host, loopback):
    assert is_loopback(host) is loopback
