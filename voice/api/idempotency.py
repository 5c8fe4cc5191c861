"""Idempotency-Key: a request that is sent twice is done once, and both are given the same answer.

Only success is kept: an error has changed nothing, and the same key may be tried again. A repeat while the first still
runs is told to wait; a key whose process died is free again after a while.
"""

import base64
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from voice.admission.networks import network_of
from voice.api.callers import Caller
from voice.api.errors import InvalidRequest
from voice.api.streams import SourcedStream
from voice.metering.executor import in_ledger_thread
from voice.models import IdempotentRequest

KEPT = timedelta(hours=24)
# Longer than any request of ours may run.
_RUNS_AT_MOST = timedelta(seconds=300)
_MAX_KEPT_BYTES = 1024 * 1024
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a request and to say what its repeats will be answered."""

    row: int
    attempt: UUID


def claim(request: HttpRequest, key: str, caller: Caller, body: bytes) -> Claim | HttpResponse:
    """Return the claim of a first request, or the answer that the first was given. Raises InvalidRequest."""
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"Idempotency-Key: 1 to {_LONGEST_KEY} printable characters.", param="Idempotency-Key")
    owner = str(caller.holder.client_secret_id or caller.holder.api_key_id) if caller.holder else _network(caller)
    key_hash = _hash(key.encode())
    fingerprint = _hash(
        f"{request.method} {request.get_full_path()}\n".encode(errors="replace") + (body or _form(request))
    )
    with transaction.atomic():
        row, is_new = _row_of(owner, key_hash, fingerprint)
        if is_new:
            return Claim(row.pk, row.attempt)
        now = timezone.now()
        if row.expires_at > now:
            if row.fingerprint != fingerprint:
                raise InvalidRequest(
                    "This Idempotency-Key was used for another request.", code="idempotency_key_reused", status=409
                )
            if row.status is not None:
                return _again(row)
            if row.locked_until > now:
                raise InvalidRequest(
                    "The first request with this Idempotency-Key is still running.",
                    code="idempotency_key_in_use",
                    status=409,
                )
        return _taken_over(row, fingerprint)


def keep(claimed: Claim | None, response: HttpResponseBase) -> HttpResponseBase:
    """Keep an answer for the repeats of its request, and return what is to be sent."""
    if claimed is None:
        return response
    if not 200 <= response.status_code < 300:
        give_up(claimed)
        return response
    if isinstance(response, SourcedStream):
        response.replace_source(_kept_when_over(claimed, response, response.source))
        return response
    if isinstance(response, HttpResponse):
        _keep(claimed, response.status_code, response.get("Content-Type", ""), response.content)
    return response


def give_up(claimed: Claim | HttpResponse | None) -> None:
    """Free the key: nothing was done."""
    if isinstance(claimed, Claim):
        IdempotentRequest.objects.filter(pk=claimed.row, attempt=claimed.attempt).delete()


async def _kept_when_over(
    claimed: Claim, response: SourcedStream, source: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Pass a stream on and keep it when it ends well; one that is broken off frees its key."""
    pieces: list[bytes] = []
    size = 0
    is_over = False
    try:
        async with aclosing(source):
            async for piece in source:
                size += len(piece)
                if size <= _MAX_KEPT_BYTES:
                    pieces.append(piece)
                yield piece
        is_over = True
    finally:
        if is_over:
            whole = b"".join(pieces) if size <= _MAX_KEPT_BYTES else None
            await in_ledger_thread(_keep, claimed, response.status_code, response.get("Content-Type", ""), whole)
        else:
            await in_ledger_thread(give_up, claimed)


def _row_of(owner: str, key_hash: str, fingerprint: str) -> tuple[IdempotentRequest, bool]:
    rows = IdempotentRequest.objects.select_for_update()
    row = rows.filter(caller=owner, key_hash=key_hash).first()
    if row is not None:
        return row, False
    now = timezone.now()
    try:
        with transaction.atomic():
            made = IdempotentRequest.objects.create(
                caller=owner,
                key_hash=key_hash,
                fingerprint=fingerprint,
                attempt=uuid4(),
                locked_until=now + _RUNS_AT_MOST,
                created_at=now,
                expires_at=now + KEPT,
            )
    except IntegrityError:
        # Of two that came at once the unique index lets one in; the other reads what that one wrote.
        return rows.get(caller=owner, key_hash=key_hash), False
    return made, True


def _taken_over(row: IdempotentRequest, fingerprint: str) -> Claim:
    now = timezone.now()
    row.fingerprint, row.attempt, row.status, row.body = fingerprint, uuid4(), None, None
    row.locked_until, row.created_at, row.expires_at = now + _RUNS_AT_MOST, now, now + KEPT
    row.save()
    return Claim(row.pk, row.attempt)


def _again(row: IdempotentRequest) -> HttpResponse:
    if row.body is None:
        raise InvalidRequest(
            "This request was done, and charged, once; its answer was too large to keep. Use a new key to repeat it.",
            code="idempotent_answer_not_kept",
            status=409,
        )
    answer = HttpResponse(base64.b64decode(row.body), status=row.status, content_type=row.content_type)
    answer["Idempotent-Replayed"] = "true"
    return answer


def _keep(claimed: Claim, status: int, content_type: str, body: bytes | None) -> None:
    row = IdempotentRequest.objects.filter(pk=claimed.row, attempt=claimed.attempt).first()
    if row is None:
        return  # it took so long that a repeat took over
    row.status, row.content_type = status, content_type[:120]
    row.body = None if body is None or len(body) > _MAX_KEPT_BYTES else base64.b64encode(body).decode()
    row.save(update_fields=["status", "content_type", "body"])


def _form(request: HttpRequest) -> bytes:
    """Return what tells one multipart body from another: its fields, and its files' content."""
    if request.content_type != "multipart/form-data":
        return b""
    digest = hashlib.sha256()
    for name, values in sorted(request.POST.lists()):
        digest.update(repr((name, values)).encode(errors="replace"))
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            digest.update(repr((name, file.name, file.size)).encode(errors="replace"))
            for chunk in file.chunks():
                digest.update(chunk)
            file.seek(0)
    return digest.digest()


def _network(caller: Caller) -> str:
    return f"network:{network_of(caller.client_ip)}"


def _hash(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
