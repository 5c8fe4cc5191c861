"""The least that a relay between a caller and a Realtime server can be, in two libraries: the floor to compare with."""
