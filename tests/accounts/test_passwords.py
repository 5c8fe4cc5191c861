"""Passwords are kept as the product's own settings say, which the other tests make cheaper (tests/hashing.py)."""

import pytest
from argon2 import extract_parameters
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password

from config import settings as product
from tests.hashing import QuickArgon2

PASSWORD = "correct horse battery"
# What OWASP asks of argon2id with two passes or more.
LEAST_MEMORY_KIB = 19 * 1024


@pytest.fixture(autouse=True)
def as_the_product_does(settings):
    settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("maria@example.com", PASSWORD)


def test_a_password_takes_memory_and_passes_to_guess(user):
    cost = extract_parameters(user.password.removeprefix("argon2"))
    assert user.password.startswith("argon2$argon2id$")
    assert cost.time_cost >= 2 and cost.memory_cost >= LEAST_MEMORY_KIB


def test_only_the_right_password_is_right(user):
    assert user.check_password(PASSWORD) and not user.check_password(PASSWORD.upper())


def test_what_the_other_tests_hash_is_the_products_hash_made_cheaper():
    assert check_password(PASSWORD, QuickArgon2().encode(PASSWORD, "a" * 16))
