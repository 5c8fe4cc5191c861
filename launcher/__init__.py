"""What stands behind ./parley: the standard library only, because it runs before anything is installed."""
