"""What a customer's page loads: embed.js, and the frame with the call in it."""

import json
import re
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import condition, require_safe

from config.settings import BASE_DIR
from voice.admission import origins
from voice.models import Agent
from voice.views.call_box import Closed, call_context, is_member_of, why_closed
from voice.widget_look import chosen_look, look_of, stylesheet
from voice.words import DEFAULT_LANGUAGE, Words

FORMS = ("floating", "inline", "headless")
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,6})?")
_SCRIPT = Path(BASE_DIR) / "voice" / "static" / "voice" / "embed.js"
# Long enough to spare a visitor the request at every page, short enough that a mended script arrives the same hour.
_SCRIPT_AGE_S = 3600


def _script_tag(request: HttpRequest) -> str:
    return f'"{_SCRIPT.stat().st_mtime_ns:x}"'


@require_safe
@condition(etag_func=_script_tag)
@cache_control(public=True, max_age=_SCRIPT_AGE_S)
def script(request: HttpRequest) -> HttpResponse:
    """Answer with embed.js, under an address that never changes: customers paste it once."""
    response = HttpResponse(_SCRIPT.read_bytes(), content_type="text/javascript; charset=utf-8")
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_safe
@xframe_options_exempt
def frame(request: HttpRequest, public_key: str) -> HttpResponse:
    """Show the call in a frame that only our own pages and the agent's sites may hold (frame-ancestors).

    Query: `form` (floating, inline or headless), `parent` (the origin that is told what goes on), `language`.
    """
    agent = _agent(request, public_key)
    form = request.GET.get("form", "")
    language = _language(request) or chosen_look(agent).language
    call = call_context(agent, is_member=_is_member(request, agent), language=language)
    words = call["words"]
    context = {
        "agent": agent,
        "call": call,
        "closed": _in_words(why_closed(agent), words, agent),
        "form": form if form in FORMS else "inline",
        "parent": origins.normalised(request.GET.get("parent", "")),
        "look": json.dumps(look_of(agent, default_label=words["page"]["talk_to_us"]).as_dict()),
    }
    response = render(request, "voice/embed.html", context)
    response._csp_replace = {"frame-ancestors": frame_ancestors(agent)}  # type: ignore[attr-defined]
    return response


@require_safe
@cache_control(public=True, max_age=60)
def theme(request: HttpRequest, public_key: str) -> HttpResponse:
    """Answer with the owner's colours as CSS: a strict policy lets no style stand in the page itself."""
    css = stylesheet(chosen_look(_agent(request, public_key)))
    return HttpResponse(css, content_type="text/css; charset=utf-8")


def frame_ancestors(agent: Agent) -> list[str]:
    """Return the sources of the frame's frame-ancestors: ours, and the sites on the agent's list."""
    listed = (origins.normalised(str(origin)) for origin in agent.allowed_origins)
    return ["'self'", *(origin for origin in listed if origin)]


def _language(request: HttpRequest) -> str:
    asked = request.GET.get("language", "")
    return asked if LANGUAGE_TAG.fullmatch(asked) else ""


def _in_words(closed: Closed | None, words: Words, agent: Agent) -> Closed | None:
    """Return it in the caller's language; what the operator wrote stays as it was written."""
    if closed is None or words["language"] == DEFAULT_LANGUAGE or closed.code not in words["closed"]:
        return closed
    title, sentence = words["closed"][closed.code]
    return Closed(closed.code, title.replace("{agent}", agent.name), sentence)


def _agent(request: HttpRequest, public_key: str) -> Agent:
    agent = get_object_or_404(Agent.objects.select_related("organisation"), public_key=public_key)
    if not (agent.is_public or agent.is_demo or _is_member(request, agent)):
        raise Http404
    return agent


def _is_member(request: HttpRequest, agent: Agent) -> bool:
    return is_member_of(agent, getattr(request, "membership", None))
