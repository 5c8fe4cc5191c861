"""Passwords as the product hashes them, at a price that thousands of tests can pay."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """The product's own, with the least work it can be set to: a quarter of a second becomes a tenth of a thousandth.

    What it makes says how it was made, so processes that tests start with the product's settings can check it.
    """

    time_cost, memory_cost, parallelism = 1, 8, 1
