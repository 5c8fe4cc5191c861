"""The websocket edge: the only code that knows how callers are connected."""
