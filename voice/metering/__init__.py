"""From what a model reports having used to what the wallet pays."""
