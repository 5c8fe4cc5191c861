"""Calls of customers' own programs, which speak OpenAI's Realtime protocol."""
