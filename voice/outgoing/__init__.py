"""The one way out: every request to an address that a customer typed goes through this guarded client."""

from voice.outgoing.client import Reply, check_header, request, request_async
from voice.outgoing.errors import Refused
from voice.outgoing.urls import check_url

__all__ = ["Refused", "Reply", "check_header", "check_url", "request", "request_async"]
