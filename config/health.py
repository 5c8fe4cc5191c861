"""/healthz: may this process take traffic? Not while it stops, and not without the database, which every call needs."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from config import stopping


def healthz(request: HttpRequest) -> JsonResponse:
    if stopping.is_stopping():
        return JsonResponse({"status": "stopping"}, status=503)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok"})
