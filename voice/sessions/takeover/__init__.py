"""When a call goes on without its caller for a while, or in another process."""
