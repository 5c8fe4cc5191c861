"""How an agent looks on its owner's site: the owner's colour made readable, and the words on the button."""

from dataclasses import asdict, dataclass
from typing import Any

from voice.models import Agent, WidgetLook
from voice.models.widget import Theme

# Parley's own accent, and the grounds it has to be read on (static/css/tokens.css).
DEFAULT_ACCENT = "#0b6b57"
_LIGHT_GROUND, _DARK_GROUND = "#ffffff", "#1b1d1a"
_BLACK, _WHITE = "#000000", "#ffffff"
# WCAG 2.2 AA for text.
_CONTRAST_MIN = 4.5
_STEPS = 20

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """What embed.js paints the button with, by the names it reads; colours as #rrggbb."""

    accent: str
    onAccent: str
    position: str
    label: str
    title: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def look_of(agent: Agent, *, default_label: str) -> Look:
    chosen = chosen_look(agent)
    accent = readable(chosen.accent or DEFAULT_ACCENT, _LIGHT_GROUND)
    return Look(
        accent=accent,
        onAccent=text_on(accent),
        position=chosen.position,
        label=chosen.label or default_label,
        title=agent.name,
    )


def chosen_look(agent: Agent) -> WidgetLook:
    """Return what the owner chose, or the look of an agent whose owner chose nothing (not saved)."""
    return WidgetLook.objects.filter(agent=agent).first() or WidgetLook(agent=agent)


def save_look(agent: Agent, **fields: Any) -> WidgetLook:
    """Keep what the owner chose. Raises ValidationError for what no form of ours lets through."""
    look = chosen_look(agent)
    for name, value in fields.items():
        setattr(look, name, value)
    look.full_clean(exclude=["agent"])
    look.save()
    return look


def stylesheet(look: WidgetLook) -> str:
    """Return the CSS that gives the frame the owner's accent and theme; empty rules where nothing was chosen."""
    rules = []
    if look.theme != Theme.AUTO:
        rules.append(f"color-scheme: {'dark' if look.theme == Theme.DARK else 'light'};")
    if look.accent:
        rules += [f"--{name}: light-dark({light}, {dark});" for name, light, dark in _accent_tokens(look.accent)]
    return ":root {\n  " + "\n  ".join(rules) + "\n}\n" if rules else ":root {}\n"


def _accent_tokens(accent: str) -> list[tuple[str, str, str]]:
    """Each token of tokens.css that is made of the accent: its name, and its colour on light and on dark ground."""
    light, dark = readable(accent, _LIGHT_GROUND), readable(accent, _DARK_GROUND)
    return [
        ("accent", light, dark),
        ("accent-strong", mixed(light, _BLACK, 25), mixed(dark, _WHITE, 25)),
        ("accent-soft", mixed(light, _LIGHT_GROUND, 88), mixed(dark, _DARK_GROUND, 82)),
        ("accent-line", mixed(light, _LIGHT_GROUND, 62), mixed(dark, _DARK_GROUND, 60)),
        ("on-accent", text_on(light), text_on(dark)),
        ("focus", light, mixed(dark, _WHITE, 25)),
    ]


def readable(colour: str, ground: str) -> str:
    """Return the colour, moved towards black or white only as far as text in it needs on `ground`."""
    towards = _BLACK if luminance(ground) > 0.5 else _WHITE
    for step in range(_STEPS + 1):
        moved = mixed(colour, towards, step * 100 // _STEPS)
        if contrast(moved, ground) >= _CONTRAST_MIN:
            return moved
    return towards


def text_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on the colour."""
    return max((_BLACK, _WHITE), key=lambda text: contrast(text, colour))


def mixed(colour: str, other: str, percent: int) -> str:
    """Return `colour` with `percent` of `other` in it."""
    parts = zip(_rgb(colour), _rgb(other), strict=True)
    return "#" + "".join(f"{(a * (100 - percent) + b * percent) // 100:02x}" for a, b in parts)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, 1.4.3)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(channel / 255) for channel in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
