"""pipecat: OpenAIRealtimeLLMService in a pipeline with its context aggregators, as its own examples build it."""

import asyncio
import sys
from typing import Any

from common import TOOL, Microphone, Report, Task, is_open, task, within_patience
from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="ERROR")


class Listener(FrameProcessor):
    """Stands where the loudspeaker would: hears what is said, and notes what it cost."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self._words = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.heard.put_nowait("audio")
        elif isinstance(frame, TTSTextFrame):
            self._words += frame.text
        elif isinstance(frame, LLMFullResponseEndFrame):
            self.report.answers.append(self._words)
            self._words = ""
            self.heard.put_nowait("answer")
        elif isinstance(frame, InterruptionFrame):
            self.heard.put_nowait("interruption")
        elif isinstance(frame, MetricsFrame):
            for metric in frame.data:
                if isinstance(metric, LLMUsageMetricsData):
                    self.report.used(metric.value.prompt_tokens, metric.value.completion_tokens)
        await self.push_frame(frame, direction)

    async def until(self, kind: str) -> None:
        while await within_patience(self.heard.get()) != kind:
            pass


def service_of(wanted: Task, report: Report) -> OpenAIRealtimeLLMService:
    turn_detection = events.TurnDetection(create_response=True, interrupt_response=True)
    audio_input = events.AudioInput(transcription=events.InputAudioTranscription(), turn_detection=turn_detection)
    properties = events.SessionProperties(
        instructions=wanted.instructions, audio=events.AudioConfiguration(input=audio_input), tools=[TOOL]
    )
    settings = OpenAIRealtimeLLMService.Settings(model=wanted.model, session_properties=properties)
    base_url = f"{wanted.websocket_url}/realtime"
    service = OpenAIRealtimeLLMService(api_key=wanted.key, base_url=base_url, settings=settings)

    async def find_free_times(call: FunctionCallParams) -> None:
        report.tools.append(call.function_name)
        await call.result_callback({"message": "Friday at nine is free."})

    service.register_function(TOOL["name"], find_free_times)
    return service


async def talk(wanted: Task, worker: PipelineWorker, listener: Listener) -> None:
    async def hears(pcm: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=24_000, num_channels=1))

    microphone = Microphone(hears)
    speaking = asyncio.create_task(microphone.run())
    try:
        # With an empty context the service lets the model speak first.
        await worker.queue_frame(LLMRunFrame())
        await listener.until("answer")
        microphone.say(wanted.question)
        await listener.until("answer")
        microphone.say(wanted.wish)
        await listener.until("answer")  # "one moment", and the call of the tool
        await listener.until("answer")
        microphone.say(wanted.question)
        await listener.until("audio")
        microphone.say(wanted.again)
        await listener.until("interruption")
        listener.report.interrupted = True
        await listener.until("answer")
        await asyncio.sleep(2)
    finally:
        speaking.cancel()


async def main() -> None:
    wanted, report = task(), Report()
    service, listener = service_of(wanted, report), Listener(report)
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(context)
    params = PipelineParams(enable_metrics=True, enable_usage_metrics=True)
    pipeline = Pipeline([user, service, listener, assistant])
    worker = PipelineWorker(pipeline, params=params, idle_timeout_secs=None)
    failed = asyncio.Event()

    async def on_error(_worker: Any, frame: ErrorFrame) -> None:
        report.errors.append(code_of(frame.error))
        failed.set()

    worker.event_handler("on_pipeline_error")(on_error)
    if wanted.mode == "revoked":
        # The service tells nobody that its session stands; that it can be used, its first answer does.
        async def announce() -> None:
            await worker.queue_frame(LLMRunFrame())
            await listener.until("answer")
            is_open()

        asyncio.get_running_loop().create_task(announce())
    runner = WorkerRunner(handle_sigint=False)
    running = asyncio.create_task(_run(runner, worker))
    try:
        if wanted.mode == "talk":
            await talk(wanted, worker, listener)
        else:
            await within_patience(failed.wait())
    finally:
        await worker.queue_frame(EndFrame())
        await within_patience(running)
    report.print()


async def _run(runner: WorkerRunner, worker: PipelineWorker) -> None:
    await runner.add_workers(worker)
    await runner.run()


def code_of(words: str) -> str:
    known = ("insufficient_quota", "invalid_api_key", "HTTP 403", "HTTP 401")
    return next((code for code in known if code in words), words)


asyncio.run(main())
