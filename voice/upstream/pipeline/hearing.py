"""The caller's audio, from the first byte appended to a turn that can be answered."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voice.audio import bytes_of, ms_of
from voice.upstream.pipeline.endings import Ending
from voice.upstream.pipeline.input_audio import InputAudio
from voice.upstream.pipeline.requests import InvalidRequest
from voice.upstream.pipeline.turn_detection import Detector, Kind, Signal, Thresholds, TurnDetector, detectors

# A turn cut by hand; the embedded models read two minutes at most.
MAX_INPUT_MS = 120_000
MIN_COMMIT_MS = 100
# Long frames are heard piece by piece, so that one call's backlog does not hold up every other call.
_SLICE_BYTES = bytes_of(100)
# The detector is this far behind the audio at most: the resampler's delay and two of its windows.
_DETECTOR_LAG_MS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """What a caller said: the item it becomes, its audio, and its words when their transcription has begun early."""

    item_id: str
    pcm: bytes
    words: "asyncio.Task[str] | None"


class Hearing:
    """Collects audio, finds turns in it where turn detection is on, and has them transcribed before they are over.

    Transcription starts at the first pause and is thrown away when the caller goes on: most of its time then passes in
    the silence that has to be waited for anyway. `on_early_words` is handed what may be the whole turn before it is
    over, and says by its words whether it is; so much of silence is waited for.
    """

    def __init__(
        self,
        *,
        emit: Callable[..., None],
        new_item_id: Callable[[], str],
        transcribe: Callable[[bytes], "asyncio.Task[str]"],
        on_speech: Callable[[], None],
        on_turn: Callable[[Turn], None],
        on_early_words: Callable[[Turn, str], Ending],
    ) -> None:
        self._emit = emit
        self._new_item_id = new_item_id
        self._transcribe = transcribe
        self._on_speech = on_speech
        self._on_turn = on_turn
        self._on_early_words = on_early_words
        self._input = InputAudio()
        self._detector: Detector | None = None
        self._turns: TurnDetector | None = None
        self._turns_began_ms = 0
        self._item_id = new_item_id()
        self._early: asyncio.Task[str] | None = None

    async def append(self, pcm: bytes, turn_detection: dict[str, Any] | None, *, silence_is_chosen: bool) -> None:
        """Hear some audio; without turn detection it waits to be committed."""
        if turn_detection is None:
            self._hold(pcm)
            return
        turns = await self._listening(turn_detection, silence_is_chosen)
        for start in range(0, len(pcm), _SLICE_BYTES):
            piece = pcm[start : start + _SLICE_BYTES]
            self._input.append(piece)
            for signal in turns.feed(piece):
                self._on_signal(signal)
            if not turns.speaking:
                self._input.drop_before(self._input.end_ms - turns.thresholds.prefix_ms - _DETECTOR_LAG_MS)
            await asyncio.sleep(0)

    def commit(self) -> Turn:
        """Return all that was heard as a turn; raise InvalidRequest when that is too little to be one."""
        if ms_of(len(self._input)) < MIN_COMMIT_MS:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {ms_of(len(self._input))}ms of audio."
            )
            raise InvalidRequest("input_audio_buffer_commit_empty", message)
        self._drop_early_words()
        if self._turns is not None:
            self._turns.forget_turn()
        return self._take(self._input.end_ms)

    def clear(self) -> None:
        self._input.take(self._input.end_ms)
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget a turn that has begun, and what counts as one."""
        self._turns = None
        self._drop_early_words()

    def close(self) -> None:
        self.start_afresh()
        if self._detector is not None:
            detectors.give_back(self._detector)
            self._detector = None

    def _hold(self, pcm: bytes) -> None:
        if len(self._input) + len(pcm) > bytes_of(MAX_INPUT_MS):
            message = f"The input audio buffer holds {MAX_INPUT_MS} ms; commit or clear it."
            raise InvalidRequest("input_audio_buffer_full", message, "audio")
        self._input.append(pcm)

    async def _listening(self, turn_detection: dict[str, Any], silence_is_chosen: bool) -> TurnDetector:
        if self._detector is None:
            self._detector = await detectors.take()
        if self._turns is None:
            self._turns = TurnDetector(
                self._detector, Thresholds.of(turn_detection, silence_is_chosen=silence_is_chosen)
            )
            self._turns_began_ms = self._input.end_ms
        return self._turns

    def _on_signal(self, signal: Signal) -> None:
        at_ms = self._turns_began_ms + signal.at_ms
        if signal.kind is Kind.STARTED:
            self._input.drop_before(at_ms)
            self._emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item_id)
            self._on_speech()
        elif signal.kind is Kind.PAUSED:
            self._transcribe_early(self._input.until(at_ms))
        elif signal.kind is Kind.RESUMED:
            self._drop_early_words()
        else:
            self._emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item_id)
            self._on_turn(self._take(at_ms))

    def _transcribe_early(self, pcm: bytes) -> None:
        words = self._early = self._transcribe(pcm)
        words.add_done_callback(lambda _: self._on_words(Turn(self._item_id, pcm, words)))

    def _on_words(self, turn: Turn) -> None:
        if turn.words is None or turn.words is not self._early or self._turns is None:
            return
        if turn.words.cancelled() or turn.words.exception() is not None:
            self._turns.judge(Ending.UNSURE)
        else:
            self._turns.judge(self._on_early_words(turn, turn.words.result()))

    def _take(self, end_ms: int) -> Turn:
        words, self._early = self._early, None
        item_id, self._item_id = self._item_id, self._new_item_id()
        return Turn(item_id, self._input.take(end_ms), words)

    def _drop_early_words(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None
