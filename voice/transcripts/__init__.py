"""What was said: kept only where the caller agreed, as heard, for a while, and really deleted."""
