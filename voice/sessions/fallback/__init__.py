"""When a model cannot hold a call any more: noticing it, finding another one, and going on with that."""
