"""A network that goes away for a moment does not end the call."""

from tests.browser.call import Call


def test_a_call_outlives_a_short_break_of_the_network(page, context):
    page.goto("/")
    call = Call(page)
    call.type_instead()
    call.wait_for("listening")
    context.set_offline(True)
    call.wait_for("reconnecting")
    assert call.part("state").inner_text() == "Reconnecting"
    assert call.part("hint").inner_text() == "The call goes on as soon as your network is back"
    context.set_offline(False)
    call.wait_for("listening")
    assert "9am" in call.type("What are your opening hours?")
    call.hang_up()
