"""What Parley costs and how long it makes people wait, measured beside other ways to do the same. See README.md."""
