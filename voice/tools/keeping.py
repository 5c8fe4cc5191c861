"""The tools of an agent: adding, changing and removing them, and which ones a call is offered."""

import re
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction

from config.encryption import NotDecryptable
from voice.models import Agent, AgentTool
from voice.tools.spec import ToolSpec

log = structlog.get_logger(__name__)

# A model that is offered more begins to choose badly, and every one of them is read, and paid for, at every response.
MOST_TOOLS = 10
TOOL_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class TooManyTools(Exception):
    """The agent has MOST_TOOLS tools already."""


class NameTaken(Exception):
    """The agent has a tool of that name already."""


def add_tool(agent: Agent, fields: Mapping[str, Any]) -> AgentTool:
    """Add a tool whose fields were checked; raise TooManyTools or NameTaken."""
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=agent.pk)
        if AgentTool.objects.filter(agent=agent).count() >= MOST_TOOLS:
            raise TooManyTools
        _check_name(agent, fields["name"])
        return AgentTool.objects.create(agent=agent, **fields)


def change_tool(tool: AgentTool, fields: Mapping[str, Any]) -> None:
    """Save what an admin typed; the next call uses it. Raises NameTaken."""
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=tool.agent_id)
        _check_name(tool.agent, fields["name"], besides=tool)
        for name, value in fields.items():
            setattr(tool, name, value)
        tool.save()


def tools_offered(agent: Agent, *, taken: frozenset[str]) -> tuple[ToolSpec, ...]:
    """Return the active tools of an agent for a call; one with a name that is `taken` by a built-in one is left out.

    With secrets that cannot be read any more there are none: the call goes on without them.
    """
    try:
        tools = list(AgentTool.objects.filter(agent=agent, is_active=True))
    except NotDecryptable:
        log.error("tool_secrets_not_readable", agent_id=str(agent.pk))
        return ()
    return tuple(spec_of(tool) for tool in tools if tool.name not in taken)


def spec_of(tool: AgentTool) -> ToolSpec:
    return ToolSpec(
        id=str(tool.pk),
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        url=tool.url,
        timeout_ms=tool.timeout_ms,
        filler=tool.filler,
        secret_header=tool.secret_header,
        secret=tool.secret,
    )


def _check_name(agent: Agent, name: str, besides: AgentTool | None = None) -> None:
    others = AgentTool.objects.filter(agent=agent, name=name)
    if (others.exclude(pk=besides.pk) if besides else others).exists():
        raise NameTaken
