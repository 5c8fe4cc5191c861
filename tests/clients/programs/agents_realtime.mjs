// @openai/agents-realtime: a RealtimeSession over its WebSocket transport, which plays, interrupts and calls tools itself.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";

import { Events, Microphone, Report, TOOL, TOOL_OUTPUT, isOpen, task } from "./common.mjs";

const report = new Report();
const events = new Events();

const agent = new RealtimeAgent({
  name: "Receptionist",
  instructions: task.instructions,
  tools: [
    tool({
      name: TOOL.name,
      description: TOOL.description,
      parameters: { ...TOOL.parameters, additionalProperties: false },
      execute: async () => {
        report.tools.push(TOOL.name);
        return TOOL_OUTPUT;
      },
    }),
  ],
});
// The address is used as it is: no model is added, the first session.update names it.
const url = `${task.url.replace(/^http/, "ws")}/realtime`;
const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
const session = new RealtimeSession(agent, {
  transport,
  model: task.model,
  config: { audio: { input: { turnDetection: { type: "server_vad", createResponse: true, interruptResponse: true } } } },
});

session.on("transport_event", (event) => {
  if (event.type === "session.created" && task.mode === "revoked") isOpen();
  if (event.type === "response.output_audio_transcript.done") report.answers.push(event.transcript);
  events.put(event);
});
session.on("audio_interrupted", () => {
  report.interrupted = true;
  events.put({ type: "interrupted" });
});
session.on("error", ({ error }) => {
  const inner = error?.error ?? error;
  const refused = /Unexpected server response: (\d+)|non-101 status code|status: (\d+)/.exec(JSON.stringify(inner) + inner?.message);
  report.errors.push(inner?.error?.code ?? inner?.code ?? (refused ? `HTTP ${refused[1] ?? refused[2] ?? ""}` : String(inner?.message ?? inner)));
  events.put({ type: "failed" });
});
transport.on("connection_change", (status) => {
  if (status === "disconnected") events.put({ type: "disconnected" });
});

async function talk() {
  await events.until("session.updated");
  const microphone = new Microphone((frame) => {
    session.sendAudio(frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.length));
  });
  microphone.start();
  microphone.say(task.question);
  await events.until("response.done");
  microphone.say(task.wish);
  await events.until("response.done"); // the call of the tool
  await events.until("response.done"); // what the agent makes of it
  microphone.say(task.question);
  await events.until("response.output_audio.delta");
  microphone.say(task.again);
  await events.until("interrupted");
  await events.until("conversation.item.truncated", "response.done");
  await events.until("response.created");
  await events.until("response.done");
  microphone.stop();
  report.used({ input_tokens: session.usage.inputTokens, output_tokens: session.usage.outputTokens });
}

try {
  await session.connect({ apiKey: task.key, url });
  if (task.mode === "talk") await talk();
  else await events.until("disconnected");
} catch (error) {
  const refused = /(40[13])/.exec(String(error?.message ?? error));
  report.errors.push(refused ? `HTTP ${refused[1]}` : String(error?.message ?? error));
}
session.close();
report.print();
process.exit(0);
