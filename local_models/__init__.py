"""The embedded models: an OpenAI-compatible HTTP server on loopback that lets Parley run with no keys."""

import os

# Set before anything imports onnxruntime: newer builds report usage to their maker unless told not to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
