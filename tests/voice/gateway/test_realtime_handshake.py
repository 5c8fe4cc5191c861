from voice.gateway.realtime_handshake import forget_headers, read_handshake


def test_what_was_said_by_connecting_is_kept_by_no_copy_of_the_scope():
    scope = {"headers": [(b"authorization", b"Bearer sk-test"), (b"origin", b"https://shop.test")]}
    a_servers_copy = dict(scope)
    handshake = read_handshake(scope)
    forget_headers(scope)
    assert (handshake.key, handshake.origin) == ("sk-test", "https://shop.test")
    assert a_servers_copy["headers"] == []
