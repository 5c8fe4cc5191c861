"""A transcript as a file: json, txt, srt and vtt."""

import html
import json
from collections.abc import Callable
from dataclasses import dataclass

from voice.transcripts.reading import Collected, TranscriptView, TurnView
from voice.transcripts.redaction import redacted

# A subtitle that shows for no time is not valid; something typed takes none.
_SHORTEST_CUE_MS = 1000


@dataclass(frozen=True, slots=True)
class Format:
    """`write` turns a transcript and what was collected into the file's text."""

    content_type: str
    write: Callable[[TranscriptView, list[Collected]], str]


def without_numbers(view: TranscriptView) -> TranscriptView:
    """Return the transcript with card numbers, phone numbers and mail addresses blotted out."""
    turns = tuple(
        TurnView(
            turn.index, turn.speaker, redacted(turn.text), turn.started_ms, turn.ended_ms, turn.latency_ms,
            turn.interrupted,
        )
        for turn in view.turns
    )  # fmt: skip
    return TranscriptView(view.session_id, view.agent_name, view.started_at, True, turns)


def as_dict(view: TranscriptView) -> dict[str, object]:
    """Return a transcript as plain values."""
    return {
        "session_id": str(view.session_id),
        "agent": view.agent_name,
        "started_at": view.started_at.isoformat(),
        "redacted": view.is_redacted,
        "turns": [
            {
                "index": turn.index,
                "speaker": turn.speaker,
                "text": turn.text,
                "started_ms": turn.started_ms,
                "ended_ms": turn.ended_ms,
                "latency_ms": turn.latency_ms,
                "interrupted": turn.interrupted,
            }
            for turn in view.turns
        ],
    }


def collected_as_dicts(collected: list[Collected]) -> list[dict[str, object]]:
    return [
        {"task": each.task_name, "fields": dict(each.fields), "completed_at": each.completed_at.isoformat()}
        for each in collected
    ]


def as_json(view: TranscriptView, collected: list[Collected]) -> str:
    content = {**as_dict(view), "collected": collected_as_dicts(collected)}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def as_txt(view: TranscriptView, collected: list[Collected]) -> str:
    lines = [f"{view.agent_name or 'Assistant'}, {view.started_at:%Y-%m-%d %H:%M %Z}".rstrip(), ""]
    for turn in view.turns:
        cut = " [interrupted]" if turn.interrupted else ""
        lines.append(f"[{_minutes(turn.started_ms)}] {_speaker(turn, view)}: {_one_line(turn.text)}{cut}")
    for each in collected:
        lines += ["", each.task_name, *(f"{name}: {_one_line(value)}" for name, value in each.fields.items())]
    return "\n".join(lines) + "\n"


def as_srt(view: TranscriptView, collected: list[Collected]) -> str:
    cues = [
        f"{number}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n{_speaker(turn, view)}: {_srt_text(turn.text)}\n"
        for number, (turn, start_ms, end_ms) in enumerate(_cues(view), start=1)
    ]
    return "\n".join(cues)


def as_vtt(view: TranscriptView, collected: list[Collected]) -> str:
    cues = []
    for turn, start_ms, end_ms in _cues(view):
        said = f"<v {_escaped(_speaker(turn, view))}>{_escaped(turn.text)}"
        cues.append(f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}\n{said}\n")
    return "\n".join(["WEBVTT\n", *cues])


FORMATS = {
    "json": Format("application/json", as_json),
    "txt": Format("text/plain; charset=utf-8", as_txt),
    "srt": Format("application/x-subrip; charset=utf-8", as_srt),
    "vtt": Format("text/vtt; charset=utf-8", as_vtt),
}


def _cues(view: TranscriptView) -> list[tuple[TurnView, int, int]]:
    """Return turns with their beginning and end, in the order in which they begin."""
    in_order = sorted(view.turns, key=lambda turn: (turn.started_ms, turn.index))
    return [(turn, turn.started_ms, max(turn.ended_ms, turn.started_ms + _SHORTEST_CUE_MS)) for turn in in_order]


def _speaker(turn: TurnView, view: TranscriptView) -> str:
    return "Caller" if turn.speaker == "caller" else _one_line(view.agent_name) or "Assistant"


def _one_line(text: str) -> str:
    # An empty line ends a subtitle, and in the text file whoever begins a line has said it.
    return " ".join(text.split())


def _srt_text(text: str) -> str:
    # The format knows no escapes; an arrow in the words would be read as times.
    return _one_line(text).replace("-->", "\u2192")


def _escaped(text: str) -> str:
    return html.escape(_one_line(text), quote=False)


def _minutes(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes}:{seconds:02}"


def _clock(ms: int, point: str) -> str:
    seconds, thousandths = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
