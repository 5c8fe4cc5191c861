"""Pages: the front page, the talk page, and the console's agents and calls."""
