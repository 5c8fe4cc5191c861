"""What all endpoints share: their methods, and that every exception becomes an answer."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from voice.api.errors import answer_for, error_answer

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def endpoint(method: str) -> Callable[[View[P]], View[P]]:
    """Make a view that takes one method and answers every error as JSON.

    Without Django's CSRF token, because the pages that call may be cached, embedded, or no Django pages at all. What
    takes its place: a body must be application/json, which a page of another origin cannot send without a preflight
    that we never answer; starting a call needs an Origin that is ours or on the agent's list, a member's rights only
    count from our own, and session cookies are SameSite=Lax; a rating needs a token that only its caller was given.
    """

    def decorate(view: View[P]) -> View[P]:
        @csrf_exempt
        @wraps(view)
        def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method != method:
                refused = error_answer(405, "method_not_allowed", f"Use {method}.")
                refused["Allow"] = method
                return refused
            try:
                response = view(request, *args, **kwargs)
            except Exception as error:  # the edge: no traceback reaches a browser, and errors.py logs it
                return answer_for(error)
            response["Cache-Control"] = "no-store"
            return response

        return answered

    return decorate
