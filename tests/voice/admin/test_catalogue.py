"""The catalogue in the operator's tool: switched in the list, priced for later days only."""

from datetime import timedelta

import pytest
from django.utils import timezone

from voice.admin.catalogue import margin_of
from voice.models import CatalogueModel, ModelStatus, Provider, Rate

MODELS = "/admin/voice/cataloguemodel/"
MICRO = 1_000_000


@pytest.fixture
def mini(catalogue):
    return CatalogueModel.objects.get(slug="gpt-realtime-mini")


@pytest.fixture
def today():
    return timezone.localdate()


def save(desk, model, *, rates=(), **changes):
    """Save the model's form as it stands, with changes and prices for later days; return the response."""
    url = f"{MODELS}{model.pk}/change/"
    page = desk.get(url).context
    form = page["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    for formset in (inline.formset for inline in page["inline_admin_formsets"]):
        data |= management_of(formset)
        # Hidden in the page, also for rows that are only shown.
        data |= {row.add_prefix("id"): row.instance.pk for row in formset.initial_forms}
    later = page["inline_admin_formsets"][1].formset.prefix
    data[f"{later}-TOTAL_FORMS"] = len(rates)
    for number, (kind, credits, dollars, day) in enumerate(rates):
        values = {
            "kind": kind,
            "micro_per_million": credits,
            "list_price_usd_micro_per_million": dollars,
            "valid_from": day.isoformat(),
        }
        data |= {f"{later}-{number}-{name}": value for name, value in values.items()}
    return desk.post(url, {**data, **changes})


def management_of(formset):
    form = formset.management_form
    return {form.add_prefix(name): form[name].value() for name in form.fields}


def switch(desk, model, **changes):
    """Save the list as it stands, with one model's row changed."""
    formset = desk.get(MODELS).context["cl"].formset
    data = management_of(formset)
    for row in formset.forms:
        values = {name: row[name].value() or "" for name in row.fields}
        if row.instance.pk == model.pk:
            values |= changes
        data |= {row.add_prefix(name): value for name, value in values.items()}
    return desk.post(MODELS, {**data, "_save": "Save"})


def test_a_model_goes_under_maintenance_from_the_list(desk, mini):
    switch(desk, mini, status="maintenance", status_note="Slow", expected_back_at="2030-01-02T15:04")

    mini.refresh_from_db()
    assert (mini.status, mini.status_note) == (ModelStatus.MAINTENANCE, "Slow")
    assert timezone.localtime(mini.expected_back_at).strftime("%Y-%m-%d %H:%M") == "2030-01-02 15:04"


def test_switching_one_model_leaves_the_others_alone(desk, mini):
    others = CatalogueModel.objects.exclude(pk=mini.pk)
    before = list(others.values())

    switch(desk, mini, status="maintenance")

    assert list(others.values()) == before


def test_a_status_that_does_not_exist_is_refused(desk, mini):
    switch(desk, mini, status="broken")

    mini.refresh_from_db()
    assert mini.status == ModelStatus.AVAILABLE


@pytest.mark.parametrize(
    ("days", "tag"), [(-1, "danger"), (0, "danger"), (29, "danger"), (30, "warning"), (89, "warning"), (90, "quiet")]
)
def test_a_shutdown_is_the_louder_the_nearer_it_is(desk, mini, today, days, tag):
    CatalogueModel.objects.update(shutdown_on=None)
    CatalogueModel.objects.filter(pk=mini.pk).update(shutdown_on=today + timedelta(days=days))

    assert f'<span class="tag tag-{tag}">' in desk.get(MODELS).text


@pytest.mark.parametrize(("days", "label"), [(1, "Available"), (0, "Shut down")])
def test_the_status_says_when_a_models_day_has_come(desk, mini, today, days, label):
    CatalogueModel.objects.filter(pk=mini.pk).update(shutdown_on=today + timedelta(days=days))
    forms = desk.get(MODELS).context["cl"].formset.forms
    status = next(form for form in forms if form.instance.pk == mini.pk)["status"]
    assert dict(status.field.choices)[status.value()] == label


def test_no_switch_brings_a_model_back_whose_day_has_come(desk, mini, today):
    CatalogueModel.objects.filter(pk=mini.pk).update(shutdown_on=today)
    switch(desk, mini, status="maintenance", status_note="Gone")
    mini.refresh_from_db()
    assert (mini.status, mini.status_note) == (ModelStatus.AVAILABLE, "Gone")
    assert "Shut down: its day has come" in desk.get(f"{MODELS}{mini.pk}/change/").text


def test_a_model_is_saved_as_it_stands(desk, mini):
    before = CatalogueModel.objects.values().get(pk=mini.pk)

    assert save(desk, mini).status_code == 302
    assert CatalogueModel.objects.values().get(pk=mini.pk) == before


@pytest.mark.parametrize("slugs", ["gpt-9", "gpt-realtime-mini"])
@pytest.mark.parametrize("field", ["fallback_slugs", "successor_slug"])
def test_only_another_model_of_the_catalogue_can_stand_in(desk, mini, field, slugs):
    assert field in save(desk, mini, **{field: slugs}).context["adminform"].form.errors


def test_fallbacks_keep_their_order(desk, mini):
    save(desk, mini, fallback_slugs="parley-embedded\ngpt-realtime\n")

    mini.refresh_from_db()
    assert mini.fallback_slugs == ["parley-embedded", "gpt-realtime"]


def test_a_model_cannot_be_billed_as_one_without_rates(desk, mini):
    assert "rated_as_slug" in save(desk, mini, rated_as_slug="parley-embedded").context["adminform"].form.errors


def test_a_models_name_stays(desk, mini):
    save(desk, mini, slug="renamed")

    mini.refresh_from_db()
    assert mini.slug == "gpt-realtime-mini"


def test_a_model_is_retired_and_never_deleted(desk, mini):
    assert desk.get(f"{MODELS}{mini.pk}/delete/").status_code == 403


def test_a_price_is_set_for_a_later_day_in_credits_and_dollars(desk, mini, today):
    tomorrow = today + timedelta(days=1)

    save(desk, mini, rates=[("audio_in", "1600.5", "11", tomorrow)])

    rate = Rate.objects.get(model=mini, valid_from=tomorrow)
    assert (rate.kind, rate.micro_per_million, rate.list_price_usd_micro_per_million) == (
        "audio_in", 1_600_500_000, 11 * MICRO,
    )  # fmt: skip


@pytest.mark.parametrize("days", [0, -1])
def test_a_price_of_today_or_before_cannot_be_set(desk, mini, today, days):
    count = Rate.objects.count()

    response = save(desk, mini, rates=[("audio_in", "1600", "11", today + timedelta(days=days))])

    assert "choose a later day" in response.text
    assert Rate.objects.count() == count


def test_what_has_no_price_yet_can_be_priced_today(desk, mini, today):
    save(desk, mini, rates=[("characters", "5", "0.01", today)])

    assert Rate.objects.get(model=mini, kind="characters").micro_per_million == 5 * MICRO


def test_a_kind_that_cannot_be_measured_cannot_be_priced(desk, mini, today):
    save(desk, mini, rates=[("smiles", "5", "1", today + timedelta(days=1))])

    assert not Rate.objects.filter(kind="smiles").exists()


def test_a_price_that_calls_were_charged_by_cannot_be_changed(desk, mini):
    rate = Rate.objects.filter(model=mini).first()
    forged = {
        "rates-TOTAL_FORMS": 1,
        "rates-INITIAL_FORMS": 1,
        "rates-0-id": rate.pk,
        "rates-0-model": mini.pk,
        "rates-0-micro_per_million": "0",
        "rates-0-DELETE": "on",
    }

    save(desk, mini, **forged)

    assert Rate.objects.get(pk=rate.pk).micro_per_million == rate.micro_per_million


def test_a_past_price_cannot_be_changed_by_calling_it_a_later_one(desk, mini, today):
    rate = Rate.objects.filter(model=mini).first()
    forged = {
        "rates-2-TOTAL_FORMS": 1,
        "rates-2-INITIAL_FORMS": 1,
        "rates-2-0-id": rate.pk,
        "rates-2-0-model": mini.pk,
        "rates-2-0-kind": rate.kind,
        "rates-2-0-micro_per_million": "0",
        "rates-2-0-list_price_usd_micro_per_million": "0",
        "rates-2-0-valid_from": (today + timedelta(days=1)).isoformat(),
    }

    save(desk, mini, **forged)

    assert Rate.objects.get(pk=rate.pk).micro_per_million == rate.micro_per_million


def test_the_replaced_price_and_the_one_in_force_are_told_apart(desk, mini, today):
    Rate.objects.create(model=mini, kind="audio_in", micro_per_million=MICRO, valid_from=today - timedelta(days=2000))

    page = desk.get(f"{MODELS}{mini.pk}/change/").text

    assert page.count("Replaced") == 1


@pytest.mark.parametrize(
    ("credits", "dollars", "margin"),
    [(1500, 10, "33.3 %"), (135, 1, "25.9 %"), (100, 1, "0.0 %"), (100, 2, "−100.0 %"), (0, 1, None), (100, 0, None)],
)
def test_the_margin_is_our_share_of_the_price(credits, dollars, margin):
    rate = Rate(micro_per_million=credits * MICRO, list_price_usd_micro_per_million=dollars * MICRO)

    assert margin_of(rate) == margin


def test_a_text_model_may_be_served_by_a_provider(desk, catalogue):
    model = CatalogueModel.objects.get(slug="gpt-4.1")
    azure = Provider.objects.get(name="Azure OpenAI")
    assert save(desk, model, provider=azure.pk).status_code == 302
    model.refresh_from_db()
    assert (model.provider, model.adapter) == (azure, "")


def test_a_provider_of_calls_alone_serves_no_text(desk, catalogue):
    model = CatalogueModel.objects.get(slug="gpt-4.1")
    calls = Provider.objects.create(name="Calls", adapter="openai", base_url="wss://calls.example/v1/realtime")
    page = save(desk, model, provider=calls.pk)
    assert "This provider serves calls only" in page.content.decode()
    model.refresh_from_db()
    assert model.provider is None
