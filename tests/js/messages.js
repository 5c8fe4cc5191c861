// Messages of the server that several tests begin with.

export const STARTED = {
  type: "session.started",
  version: 1,
  session_id: "s-1",
  agent_name: "Brightside Dental",
  model_asked: "a",
  model_served: "a",
  voice: true,
  max_duration_ms: 600_000,
  shows_prices: true,
};
