"""Models end on their providers' days: traffic moves by itself, and operators know in time."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from outbox import messages as outbox
from outbox.models import OutboxMessage
from tests import factories
from voice.catalogue import shutdown
from voice.catalogue.http_models import resolve_http_model
from voice.catalogue.on_offer import resolve_model, transcription_of, writers_of
from voice.catalogue.shutdown import note_shutdowns, warn_of_shutdowns
from voice.models import CatalogueModel, ModelStatusChange, Provider, ProviderKey, ShutdownWarning
from voice.models.catalogue import ModelKind
from voice.tasks import watch_shutdowns

pytestmark = pytest.mark.usefixtures("catalogue")
MINI, LAST_DAY = "gpt-realtime-mini", date(2027, 1, 20)
# As the providers have announced them.
ANNOUNCED = {
    "gpt-realtime": date(2027, 1, 20),
    "gpt-realtime-mini": date(2027, 1, 20),
    "azure-gpt-realtime-mini": date(2027, 6, 15),
    "gpt-4.1": date(2027, 1, 14),
    "gpt-4.1-mini": date(2027, 1, 14),
    "gpt-4o-mini-tts": date(2027, 1, 6),
    "gpt-4o-transcribe": date(2027, 2, 26),
    "gpt-4o-mini-transcribe": date(2027, 2, 26),
    "whisper-1": date(2027, 2, 26),
}


@pytest.fixture(autouse=True)
def key(settings):
    settings.OPENAI_API_KEY = "sk-test"


@pytest.fixture
def operator(catalogue):
    return factories.make_user("ops@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def only_mini(catalogue):
    """Let no other model end."""
    CatalogueModel.objects.exclude(slug=MINI).update(shutdown_on=None)


def days_before(days):
    return LAST_DAY - timedelta(days=days)


def warned():
    return list(ShutdownWarning.objects.order_by("id").values_list("model__slug", "days_before"))


def mails(mailoutbox):
    """Do what the outbox holds, and return the mails of it."""
    for message in OutboxMessage.objects.all():
        outbox.deliver(message.pk)
    return mailoutbox


@pytest.mark.parametrize(("slug", "day"), ANNOUNCED.items())
def test_a_new_installation_knows_every_announced_day(slug, day):
    assert CatalogueModel.objects.get(slug=slug).shutdown_on == day


def test_every_model_that_is_asked_for_by_default_has_its_day_and_what_comes_after_it(settings):
    served = CatalogueModel.objects.get(slug=settings.DEFAULT_REALTIME_MODEL)
    defaults = [served.slug, served.transcription_slug, settings.NOTES_MODEL, settings.TEXT_FALLBACK_MODEL]
    for slug in [*defaults, "gpt-4o-mini-tts", "whisper-1"]:
        model = CatalogueModel.objects.get(slug=slug)
        assert model.shutdown_on == ANNOUNCED[slug]
        assert CatalogueModel.objects.filter(slug=model.successor_slug, kind=model.kind).exists()


def test_calls_move_by_themselves_on_the_day():
    assert resolve_model(MINI, None, days_before(1)).served.slug == MINI
    assert resolve_model(MINI, None, LAST_DAY).served.slug == "gpt-realtime-2.1-mini"


def test_captions_move_by_themselves_on_the_day():
    model, last = CatalogueModel.objects.get(slug="gpt-realtime-2.1"), date(2027, 2, 26)
    assert transcription_of(model, last - timedelta(days=1)).slug == "gpt-4o-mini-transcribe"
    assert transcription_of(model, last).slug == "gpt-live-transcribe"


def test_notes_move_by_themselves_on_the_day():
    last = ANNOUNCED["gpt-4.1"]
    assert writers_of("gpt-4.1", last - timedelta(days=1))[0].slug == "gpt-4.1"
    assert writers_of("gpt-4.1", last)[0].slug == "gpt-6-luna"


@pytest.mark.parametrize(
    ("slug", "kind", "successor"),
    [
        ("gpt-4.1", ModelKind.CHAT, "gpt-6-luna"),
        ("gpt-4o-mini-tts", ModelKind.SPEECH, "parley-embedded-speech"),
        ("whisper-1", ModelKind.TRANSCRIPTION, "gpt-transcribe"),
    ],
)
def test_requests_move_by_themselves_on_the_day(slug, kind, successor):
    last = ANNOUNCED[slug]
    assert resolve_http_model(slug, kind, last - timedelta(days=1)).served.slug == slug
    assert resolve_http_model(slug, kind, last).served.slug == successor


@pytest.mark.usefixtures("only_mini")
def test_the_day_is_written_down_once():
    note_shutdowns(days_before(1))
    assert not ModelStatusChange.objects.exists()
    for day in (LAST_DAY, LAST_DAY, LAST_DAY + timedelta(days=1)):
        note_shutdowns(day)
    [change] = ModelStatusChange.objects.all()
    assert (change.model.slug, change.before, change.after, change.who, change.why) == (
        MINI, "available", "retired", "shutdown date", "Calls go to gpt-realtime-2.1-mini.",
    )  # fmt: skip


@pytest.mark.usefixtures("only_mini")
def test_a_day_that_was_put_off_is_written_down_again():
    note_shutdowns(LAST_DAY)
    CatalogueModel.objects.filter(slug=MINI).update(shutdown_on=LAST_DAY + timedelta(days=30))
    note_shutdowns(LAST_DAY + timedelta(days=30))
    assert ModelStatusChange.objects.count() == 2


@pytest.mark.usefixtures("only_mini", "operator")
def test_nobody_is_warned_of_a_model_without_a_key_until_there_is_one(settings):
    settings.OPENAI_API_KEY = ""
    warn_of_shutdowns(days_before(60))
    assert warned() == []
    settings.OPENAI_API_KEY = "sk-test"
    warn_of_shutdowns(days_before(40))
    assert warned() == [(MINI, 60)]


@pytest.mark.usefixtures("operator")
def test_operators_are_warned_of_a_model_that_only_an_organisation_has_a_key_for():
    CatalogueModel.objects.exclude(provider__name="Azure OpenAI").update(shutdown_on=None)
    azure = CatalogueModel.objects.get(slug="azure-gpt-realtime-mini")
    Provider.objects.filter(pk=azure.provider_id).update(base_url="https://acme.openai.azure.com")
    warn_of_shutdowns(azure.shutdown_on - timedelta(days=7))
    assert warned() == []
    ProviderKey.objects.create(provider=azure.provider, organisation=factories.make_organisation(), api_key="sk-own")
    warn_of_shutdowns(azure.shutdown_on - timedelta(days=7))
    assert warned() == [(azure.slug, 7)]


@pytest.mark.usefixtures("only_mini", "operator")
def test_operators_are_warned_60_30_and_7_days_before_and_each_time_once():
    for days in range(70, -1, -1):
        warn_of_shutdowns(days_before(days))
        warn_of_shutdowns(days_before(days))
    assert warned() == [(MINI, 60), (MINI, 30), (MINI, 7)]
    assert OutboxMessage.objects.count() == 3


@pytest.mark.usefixtures("only_mini", "operator")
@pytest.mark.parametrize(
    ("days", "nearest"), [(61, []), (60, [60]), (31, [60]), (30, [30]), (8, [30]), (7, [7]), (1, [7]), (0, [])]
)
def test_a_model_found_late_gets_the_nearest_warning_only(days, nearest):
    warn_of_shutdowns(days_before(days))
    assert warned() == [(MINI, each) for each in nearest]


@pytest.mark.usefixtures("only_mini", "operator")
def test_a_new_date_is_warned_of_anew():
    warn_of_shutdowns(days_before(7))
    CatalogueModel.objects.filter(slug=MINI).update(shutdown_on=LAST_DAY + timedelta(days=1))
    warn_of_shutdowns(days_before(6))
    assert warned() == [(MINI, 7), (MINI, 7)]


@pytest.mark.usefixtures("only_mini", "operator")
def test_a_retired_model_is_no_news():
    CatalogueModel.objects.filter(slug=MINI).update(status="retired")
    warn_of_shutdowns(days_before(7))
    note_shutdowns(LAST_DAY)
    assert warned() == []


@pytest.mark.usefixtures("only_mini")
def test_a_warning_waits_for_somebody_to_warn(operator):
    operator.is_active = False
    operator.save()
    warn_of_shutdowns(days_before(7))
    assert warned() == []
    operator.is_active = True
    operator.save()
    warn_of_shutdowns(days_before(6))
    assert warned() == [(MINI, 7)]


@pytest.fixture
def ending_soon(catalogue):
    """Two models end within a week of today."""
    soon = timezone.localdate() + timedelta(days=5)
    CatalogueModel.objects.update(shutdown_on=None)
    CatalogueModel.objects.filter(slug__in=[MINI, "gpt-4.1"]).update(shutdown_on=soon)
    return soon


@pytest.mark.usefixtures("ending_soon", "operator")
def test_one_mail_tells_each_operator_of_all_models_that_end(mailoutbox, agent):
    factories.make_user("second@example.com", is_staff=True)
    factories.make_user("customer@example.com")
    watch_shutdowns()
    sent = mails(mailoutbox)
    assert sorted(mail.to[0] for mail in sent) == ["ops@example.com", "second@example.com"]
    assert "GPT Realtime mini (gpt-realtime-mini)" in sent[0].body
    assert "GPT Realtime 2.1 mini (gpt-realtime-2.1-mini) answers." in sent[0].body
    assert "GPT-6 Luna (gpt-6-luna) answers." in sent[0].body
    assert "1 agent asks for it today." in sent[0].body
    assert sent[0].subject.endswith("and 1 more soon")


@pytest.mark.usefixtures("ending_soon", "operator")
def test_a_model_that_nothing_stands_in_for_is_said_to_have_none(mailoutbox):
    CatalogueModel.objects.filter(slug=MINI).update(successor_slug="", fallback_slugs=[])
    watch_shutdowns()
    assert "Nothing stands in for it: name a successor." in mails(mailoutbox)[0].body


@pytest.mark.usefixtures("ending_soon")
def test_who_is_no_operator_any_more_is_not_told(mailoutbox, operator):
    watch_shutdowns()
    operator.is_staff = False
    operator.save()
    assert mails(mailoutbox) == []


@pytest.mark.usefixtures("ending_soon", "operator")
def test_a_date_that_was_moved_meanwhile_is_not_told(mailoutbox):
    watch_shutdowns()
    CatalogueModel.objects.update(shutdown_on=None)
    assert mails(mailoutbox) == []


def test_the_last_day_is_the_first_without_it():
    model = CatalogueModel.objects.get(slug=MINI)
    assert shutdown.after_shutdown(model).slug == "gpt-realtime-2.1-mini"
