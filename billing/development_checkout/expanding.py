"""`expand`: objects in the place of their ids, and the lists that are shown only when asked for."""

from typing import Any

from billing.development_checkout.checkout_sessions import lines_url
from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.lists import list_of
from billing.development_checkout.store import Books, public

_MOST_PATHS = 20
_MOST_DEPTH = 4


def shown(books: Books, body: Json, paths: list[str]) -> Json:
    """Return the object as its caller sees it, with what `paths` name expanded. Raises ApiError for any other path."""
    if len(paths) > _MOST_PATHS:
        raise ApiError(f"At most {_MOST_PATHS} properties can be expanded.", param="expand")
    visible = _visible(body)
    for path in paths:
        steps = path.split(".")
        if len(steps) > _MOST_DEPTH + (steps[0] == "data"):
            raise ApiError(f"You cannot expand more than {_MOST_DEPTH} levels of a property.", param="expand")
        _expand(books, visible, steps, path)
    return visible


def _visible(body: Json) -> Json:
    visible = public(body)
    if visible.get("object") == "list":
        visible["data"] = [public(item) for item in visible["data"]]
    return visible


def _expand(books: Books, node: Any, steps: list[str], path: str) -> None:
    if not steps or node is None:
        return
    if isinstance(node, list):
        for item in node:
            _expand(books, item, steps, path)
        return
    name, rest = steps[0], steps[1:]
    if isinstance(node, dict) and (included := _included(books, node, name)) is not None:
        node[name] = included
    if not isinstance(node, dict) or name not in node:
        raise ApiError(f"This property cannot be expanded ({path[:80]}).", param="expand")
    if isinstance(node[name], str):
        found = books.find(node[name])
        if found is None:
            raise ApiError(f"This property cannot be expanded ({path[:80]}).", param="expand")
        node[name] = public(found)
    elif isinstance(node[name], dict):
        node[name] = dict(node[name])
    _expand(books, node[name], rest, path)


def _included(books: Books, node: Json, name: str) -> Json | None:
    kind, identifier = node.get("object"), node.get("id", "")
    if kind == "checkout.session" and name == "line_items":
        return list_of(lines_url(identifier), books.get(identifier, kind)["_lines"])
    if kind == "charge" and name == "refunds":
        return list_of(f"/v1/charges/{identifier}/refunds", books.newest("refund", {"charge": identifier}))
    return None
