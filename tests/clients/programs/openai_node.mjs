// openai (npm): OpenAIRealtimeWS, which dials wss whatever it is told.

import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

import { Events, Microphone, Report, TOOL, TOOL_OUTPUT, isOpen, task } from "./common.mjs";

const report = new Report();
const events = new Events();
const client = new OpenAI({ baseURL: task.url, apiKey: task.key });
const socket = new OpenAIRealtimeWS({ model: task.model }, client);
const closed = new Promise((resolve) => {
  socket.socket.on("close", (code) => resolve(code));
});

socket.on("error", (error) => {
  const refused = /Unexpected server response: (\d+)/.exec(`${error.message} ${error.cause?.message}`);
  if (!refused && task.mode !== "talk" && !error.error) return; // the same refusal, told once more
  report.errors.push(error.error?.code ?? (refused ? `HTTP ${refused[1]}` : error.message));
});
socket.on("event", (event) => {
  if (event.type === "response.done" && event.response.usage) report.used(event.response.usage);
  if (event.type === "response.output_audio_transcript.done") report.answers.push(event.transcript);
  if (event.type === "session.created" && task.mode === "revoked") isOpen();
  events.put(event);
});

async function talk() {
  await events.until("session.created");
  socket.send({
    type: "session.update",
    session: {
      type: "realtime",
      instructions: task.instructions,
      tools: [TOOL],
      audio: { input: { turn_detection: { type: "server_vad", create_response: true, interrupt_response: true } } },
    },
  });
  await events.until("session.updated");
  const microphone = new Microphone((frame) => {
    socket.send({ type: "input_audio_buffer.append", audio: frame.toString("base64") });
  });
  microphone.start();
  microphone.say(task.question);
  await events.until("response.done");
  await callTool(microphone);
  await interrupt(microphone);
  microphone.stop();
  await speakByHand();
}

async function callTool(microphone) {
  microphone.say(task.wish);
  const { response } = await events.until("response.done");
  for (const item of response.output.filter(({ type }) => type === "function_call")) {
    report.tools.push(item.name);
    const output = { type: "function_call_output", call_id: item.call_id, output: TOOL_OUTPUT };
    socket.send({ type: "conversation.item.create", item: output });
  }
  socket.send({ type: "response.create" });
  await events.until("response.done");
}

async function interrupt(microphone) {
  microphone.say(task.question);
  const { item_id } = await events.until("response.output_audio.delta");
  microphone.say(task.again);
  await events.until("input_audio_buffer.speech_started");
  socket.send({ type: "conversation.item.truncate", item_id, content_index: 0, audio_end_ms: 300 });
  const truncated = await events.until("conversation.item.truncated");
  report.interrupted = truncated.item_id === item_id;
  await events.until("response.created");
  await events.until("response.done");
}

// Push to talk: no turn detection, the program says when a turn is over and when it is to be answered.
async function speakByHand() {
  socket.send({ type: "session.update", session: { type: "realtime", audio: { input: { turn_detection: null } } } });
  await events.until("session.updated");
  socket.send({ type: "input_audio_buffer.clear" });
  await events.until("input_audio_buffer.cleared");
  const whole = new Microphone((frame) => {
    socket.send({ type: "input_audio_buffer.append", audio: frame.toString("base64") });
  });
  whole.say(task.question);
  whole.start();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  whole.stop();
  socket.send({ type: "input_audio_buffer.commit" });
  await events.until("input_audio_buffer.committed");
  socket.send({ type: "response.create" });
  await events.until("response.done");
}

if (task.mode === "talk") {
  await talk();
  socket.close();
} else {
  const code = await closed;
  if (report.errors.length === 0 || !report.errors[0].startsWith("HTTP")) report.errors.push(`closed ${code}`);
}
report.print();
process.exit(0);
