"""What every app's admin classes share: typed bases, and rows that are only shown."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

__all__ = ["PAGE_ROWS", "InlineFormSet", "ModelAdmin", "ModelForm", "ReadOnly", "TabularInline"]

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.forms import BaseInlineFormSet as InlineFormSet
    from django.forms import ModelForm
else:
    # Django's own classes take no type parameters at run time.

    class ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, _):
            return cls

    class TabularInline(admin.TabularInline):
        def __class_getitem__(cls, _):
            return cls

    class InlineFormSet(forms.BaseInlineFormSet):
        def __class_getitem__(cls, _):
            return cls

    class ModelForm(forms.ModelForm):
        def __class_getitem__(cls, _):
            return cls


# Counting a table of millions for "of 3 204 117 in all" is not worth the wait.
PAGE_ROWS = 50


class ReadOnly:
    """For what the product writes and nobody edits."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
