"""How each client is pointed at this server: the lines that differ from talking to OpenAI, ready to be run."""

from dataclasses import dataclass, replace
from string import Template


@dataclass(frozen=True, slots=True)
class Snippet:
    """One client. `about` is one sentence beside the code; `install` the line that brings the client, if one does."""

    id: str
    title: str
    about: str
    install: str
    code: str


_PATTERNS = (
    Snippet(
        "openai-python",
        "openai-python",
        "Only the base URL and the key differ from OpenAI's own.",
        'pip install "openai[realtime]"',
        """\
import asyncio
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url="$http/v1", api_key="$key")

async def main():
    async with client.realtime.connect(model="$model") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(item={
            "type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "Hello! What can you do?"}],
        })
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
            elif event.type == "response.done":
                print("\\n", event.response.usage)
                break

asyncio.run(main())""",
    ),
    Snippet(
        "openai-node",
        "openai-node",
        "This client always dials wss://, so the server must be reached over https.",
        "npm install openai ws",
        """\
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const client = new OpenAI({ baseURL: "$http/v1", apiKey: "$key" });
const realtime = new OpenAIRealtimeWS({ model: "$model" }, client);

realtime.on("error", (error) => console.error(error.message));
realtime.on("session.created", () => {
  realtime.send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"] } });
  realtime.send({
    type: "conversation.item.create",
    item: { type: "message", role: "user", content: [{ type: "input_text", text: "Hello!" }] },
  });
  realtime.send({ type: "response.create" });
});
realtime.on("response.output_text.delta", (event) => process.stdout.write(event.delta));
realtime.on("response.done", () => realtime.close());""",
    ),
    Snippet(
        "agents-realtime",
        "@openai/agents-realtime",
        "In a browser, use a client secret (ek_…) that your server makes, never the key itself.",
        "npm install @openai/agents-realtime zod",
        """\
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";

const agent = new RealtimeAgent({ name: "Reception", instructions: "You answer for a dental practice." });
const url = "$ws/v1/realtime?model=$model";
const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
const session = new RealtimeSession(agent, { transport, model: "$model" });

session.on("error", (event) => console.error(event.error));
session.on("history_updated", (history) => console.log(history.at(-1)));
await session.connect({ apiKey: "$key", url });
session.sendMessage("Hello!");""",
    ),
    Snippet(
        "livekit",
        "LiveKit Agents",
        "The rest of your agent stays as it is.",
        'pip install "livekit-agents[openai]"',
        """\
from livekit.agents import AgentSession
from livekit.plugins import openai

session = AgentSession(
    llm=openai.realtime.RealtimeModel(
        base_url="$http/v1",
        api_key="$key",
        model="$model",
        voice="marin",
    ),
)""",
    ),
    Snippet(
        "pipecat",
        "Pipecat",
        "Pipecat wants the whole address of the websocket.",
        'pip install "pipecat-ai[openai]"',
        """\
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

llm = OpenAIRealtimeLLMService(
    base_url="$ws/v1/realtime",
    api_key="$key",
    settings=OpenAIRealtimeLLMService.Settings(model="$model"),
)""",
    ),
    Snippet(
        "curl",
        "curl",
        "Start a call and get its ticket; write text; make a client secret for a browser.",
        "",
        """\
export PARLEY_API_KEY="$key"

curl $http/v1/voice/sessions \\
  -H "Authorization: Bearer $$PARLEY_API_KEY" -H "Content-Type: application/json" \\
  -H "Idempotency-Key: order-1234" \\
  -d '{"llm_model": "$model", "voice": "marin", "turn_detection": "realtime_llm",
       "system_prompt": "You help with bicycles.", "metadata": {"order": "1234"}}'

curl $http/v1/chat/completions \\
  -H "Authorization: Bearer $$PARLEY_API_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello!"}]}'

curl $http/v1/realtime/client_secrets \\
  -H "Authorization: Bearer $$PARLEY_API_KEY" -H "Content-Type: application/json" \\
  -d '{"expires_after": {"anchor": "created_at", "seconds": 600}, "max_credits": 50,
       "session": {"type": "realtime", "model": "$model"}}'""",
    ),
)


def snippets_for(*, host: str, is_secure: bool, key: str, model: str) -> list[Snippet]:
    """Return every client's lines for a server at `host`, with `key` where a key goes."""
    suffix = "s" if is_secure else ""
    values = {"http": f"http{suffix}://{host}", "ws": f"ws{suffix}://{host}", "key": key, "model": model}
    return [replace(each, code=Template(each.code).substitute(values)) for each in _PATTERNS]
