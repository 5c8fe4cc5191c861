"""Addresses of the operator's pages about money, and what every one of them must hold to."""

from django.urls import reverse


def listing(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def assert_listed_and_shown(office, model):
    row = model.objects.latest("pk")
    assert page(row) in text(office.get(listing(model)))
    assert "Close" in text(office.get(page(row)))


def assert_only_shown(office, model):
    """Nothing of it can be added, changed or deleted."""
    row = model.objects.latest("pk")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert office.get(reverse(f"{name}_add")).status_code == 403
    assert office.post(page(row), {}).status_code == 403
    assert office.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
