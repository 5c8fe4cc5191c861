import pytest

from accounts.addresses import is_disposable, person_key_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("maria@example.com", "MARIA@EXAMPLE.COM"),
        ("maria@example.com", "maria+trial2@example.com"),
        ("maria@example.com", " maria@example.com. "),
        ("maria.silva@gmail.com", "mariasilva@googlemail.com"),
        ("maria.silva+x@gmail.com", "MariaSilva@gmail.com"),
        ("maria@münchen.de", "maria@xn--mnchen-3ya.de"),
    ],
)
def test_spellings_of_one_person_have_one_key(one, other):
    assert person_key_of(one) == person_key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("maria@example.com", "mario@example.com"),
        ("maria@example.com", "maria@example.org"),
        ("maria.silva@example.com", "mariasilva@example.com"),
        ("+a@example.com", "+b@example.com"),
    ],
)
def test_different_people_have_different_keys(one, other):
    assert person_key_of(one) != person_key_of(other)


def test_a_key_does_not_show_the_address(settings):
    key = person_key_of("maria@example.com")
    settings.SECRET_KEY = "another"
    assert "maria" not in key and key != person_key_of("maria@example.com")


@pytest.mark.parametrize("email", ["a@mailinator.com", "a@MAILINATOR.COM", "a@x.y.mailinator.com", "a@mailinator.com."])
def test_throw_away_services_and_their_subdomains_are_known(email):
    assert is_disposable(email)


@pytest.mark.parametrize("email", ["a@example.com", "a@mymailinator.example", "a@mailinator.com.example.org", "a@com"])
def test_other_addresses_are_not_throw_away(email):
    assert not is_disposable(email)
