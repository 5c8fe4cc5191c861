PATH = "/v1/captcha/challenge"


def test_a_challenge_is_fresh_and_not_kept(client):
    first, second = client.get(PATH), client.get(PATH)
    assert first.status_code == 200
    assert first["Cache-Control"] == "no-store"
    assert first.json() != second.json()


def test_challenges_are_limited(client):
    answers = [client.get(PATH).status_code for _ in range(61)]
    assert answers == [200] * 60 + [429]


def test_a_challenge_is_only_read(client):
    assert client.post(PATH).status_code == 405
