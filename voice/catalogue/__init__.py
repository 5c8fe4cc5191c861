"""Which models are on offer, and what they cost."""
