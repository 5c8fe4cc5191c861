"""What a customer's page lacks to show an agent: its address, its policies and its script tag, read as a browser would.

Pure: the page is fetched by whoever calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlsplit

# What a directive that is not there is replaced by (CSP level 3, 6.8.3 and 6.1).
_FALLBACKS = {
    "script-src": ("script-src-elem", "script-src", "default-src"),
    "frame-src": ("frame-src", "child-src", "default-src"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is right, what it is, and what to do where it is not."""

    ok: bool
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as it came. `headers` by lower-case name; `html` may be cut."""

    url: str
    headers: Mapping[str, str]
    html: str


def check_page(page: FetchedPage, *, host: str, public_key: str, listed: frozenset[str]) -> list[Finding]:
    """Return what was found, in the order in which a browser would stop. `host` and `listed` are origins."""
    tags = _read_tags(page.html)
    policies = [page.headers.get("content-security-policy", ""), *tags.policies]
    return [
        _is_secure(page.url),
        _is_listed(page.url, listed),
        _has_script(tags, host, public_key),
        _policy_allows(policies, "script-src", host),
        _policy_allows(policies, "frame-src", host),
        _microphone_is_delegated(page.headers.get("permissions-policy", ""), host),
    ]


def origin_of(url: str) -> str:
    """Return scheme://host[:port] of an address, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_secure(url: str) -> Finding:
    parts = urlsplit(url)
    is_local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return Finding(
        parts.scheme == "https" or is_local,
        "The page is served over https",
        "Browsers give no microphone to pages on http. Serve the page over https.",
    )


def _is_listed(url: str, listed: frozenset[str]) -> Finding:
    origin = origin_of(url)
    return Finding(
        origin in listed,
        f"{origin} is on the agent's list of sites",
        f"Add {origin} to “Sites that may embed it” on the agent's form.",
    )


def _has_script(tags: "_Tags", host: str, public_key: str) -> Finding:
    wanted = f"{host}/embed.js"
    found = [agent for source, agent in tags.scripts if source.split("?")[0] == wanted]
    return Finding(
        public_key in found,
        "The script tag is in the page",
        "Another agent's key is in the script tag."
        if found
        else "The tag was not found in the page's HTML. If a script adds it later, that is fine.",
    )


def _policy_allows(policies: list[str], directive: str, host: str) -> Finding:
    refusing = [policy for policy in policies if policy and not allows(policy, directive, host)]
    return Finding(
        not refusing,
        f"The page's Content-Security-Policy lets {host} in ({directive})",
        f"Add {host} to {directive}.",
    )


def allows(policy: str, directive: str, host: str) -> bool:
    """Say whether a Content-Security-Policy lets a resource of the origin `host` in under `directive`."""
    for one in policy.split(","):
        directives = _directives(one)
        name = next((name for name in _FALLBACKS[directive] if name in directives), None)
        if name is not None and not any(_matches(source, host) for source in directives[name]):
            return False
    return True


def _directives(policy: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            # Of a directive given twice, browsers keep the first.
            found.setdefault(words[0].lower(), words[1:])
    return found


def _matches(source: str, host: str) -> bool:
    source, wanted = source.lower().rstrip("/"), urlsplit(host)
    if source in {"*", f"{wanted.scheme}:"}:
        return True
    if "://" in source:
        scheme, _, source = source.partition("://")
        if scheme != wanted.scheme and (scheme, wanted.scheme) != ("http", "https"):
            return False
    name = source.partition("/")[0]
    if name.startswith("*."):
        return (wanted.hostname or "").endswith(name[1:].partition(":")[0])
    return name == wanted.netloc or name == wanted.hostname


def _microphone_is_delegated(header: str, host: str) -> Finding:
    return Finding(
        _delegates(header, host),
        "The page's Permissions-Policy hands the microphone on",
        f'Write microphone=(self "{host}") in the Permissions-Policy header.',
    )


def _delegates(header: str, host: str) -> bool:
    for part in header.split(","):
        feature, _, value = part.strip().partition("=")
        if feature.strip().lower() == "microphone":
            return "*" in value or f'"{host}"' in value
    return True


class _Tags(HTMLParser):
    """The script tags of a page with their data-agent, and the policies in its meta tags."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[tuple[str, str]] = []
        self.policies: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "script" and "src" in values:
            self.scripts.append((values["src"], values.get("data-agent", "")))
        elif tag == "meta" and values.get("http-equiv", "").lower() == "content-security-policy":
            self.policies.append(values.get("content", ""))


def _read_tags(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    return tags
