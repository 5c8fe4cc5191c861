import pytest
from django.core.mail import EmailMessage, get_connection


@pytest.fixture
def mailbox(settings, tmp_path):
    """A function that sends a mail into a folder of the test's own."""
    settings.DEBUG = True
    settings.EMAIL_FILE_PATH = str(tmp_path)
    backend = "django.core.mail.backends.filebased.EmailBackend"

    def send(subject, body="Hello"):
        connection = get_connection(backend, file_path=str(tmp_path))
        EmailMessage(subject, body, "parley@example.com", ["maria@example.com"], connection=connection).send()

    return send


def test_kept_mails_are_listed(client, mailbox):
    mailbox("Confirm your address")
    mailbox("You are invited")
    page = client.get("/dev/mail/").content.decode()
    assert "Confirm your address" in page and "You are invited" in page


def test_an_empty_mailbox_says_so(client, mailbox):
    assert b"No mail yet" in client.get("/dev/mail/").content


def test_a_mail_is_shown_with_links_to_press_and_nothing_to_run(client, mailbox):
    mailbox("Hi <b>", "Open http://testserver/x/ \u00e9 <script>alert(1)</script>")
    (mail,) = client.get("/dev/mail/").context["mails"]
    page = client.get(f"/dev/mail/{mail.key}/").content.decode()
    assert '<a href="http://testserver/x/"' in page and "é" in page
    assert "<script>alert" not in page and "Hi <b>" not in page


@pytest.mark.parametrize("path", ["", "20260101-000000-1-0/"])
def test_without_debug_there_is_no_mailbox(client, mailbox, settings, path):
    settings.DEBUG = False
    assert client.get(f"/dev/mail/{path}").status_code == 404


@pytest.mark.parametrize("origin", [{"REMOTE_ADDR": "203.0.113.9"}, {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}])
def test_from_another_machine_there_is_no_mailbox(client, mailbox, origin):
    assert client.get("/dev/mail/", **origin).status_code == 404


@pytest.mark.parametrize("key", ["nonsense", "20260101-000000-1-0", "secret-0"])
def test_nothing_else_in_the_folder_can_be_read(client, mailbox, settings, tmp_path, key):
    (tmp_path / "secret.log").write_text("Subject: x\n\nsecret")
    assert client.get(f"/dev/mail/{key}/").status_code == 404
    assert not client.get("/dev/mail/").context["mails"]
