"""The REST edge: JSON in, JSON out, one shape of error."""
