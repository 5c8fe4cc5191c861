"""The operator's view of receipts and credit notes: found by number, never changed."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import CreditNote, Receipt
from billing.purchase_admin import money
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly

_PARTS = ["seller", "buyer", "lines", "taxes", "note", "total", "issued_at"]


class PaperAdmin(ReadOnly):
    """What both papers show of themselves."""

    list_per_page = PAGE_ROWS
    show_full_result_count = False

    @admin.display(description="number")
    def full_number(self, paper: Receipt | CreditNote) -> str:
        return paper.full_number

    @admin.display(description="total", ordering="total_minor")
    def total(self, paper: Receipt | CreditNote) -> str:
        return money(paper.total_minor, paper.currency)


@admin.register(Receipt)
class ReceiptAdmin(PaperAdmin, ModelAdmin[Receipt]):
    list_display = ["full_number", "issued_at", "organisation", "total"]
    list_filter = ["series", "currency"]
    date_hierarchy = "issued_at"
    list_select_related = ["purchase__organisation"]
    search_fields = ["=number", "=purchase__id", "purchase__organisation__name"]
    search_help_text = "Number without its series, purchase's id or organisation's name."
    fields = ["full_number", "purchase", "paid_at", *_PARTS]

    @admin.display(description="organisation", ordering="purchase__organisation__name")
    def organisation(self, receipt: Receipt) -> str:
        return receipt.purchase.organisation.name


@admin.register(CreditNote)
class CreditNoteAdmin(PaperAdmin, ModelAdmin[CreditNote]):
    list_display = ["full_number", "issued_at", "organisation", "total", "receipt", "void"]
    list_filter = ["series", "currency"]
    date_hierarchy = "issued_at"
    list_select_related = ["refund", "dispute", "receipt__purchase__organisation"]
    search_fields = [
        "=number", "=refund__id", "=refund__stripe_refund_id", "=dispute__stripe_dispute_id",
        "receipt__purchase__organisation__name",
    ]  # fmt: skip
    search_help_text = "Number without its series, refund's or dispute's id, or organisation's name."
    fields = ["full_number", "refund", "dispute", "receipt", "void", *_PARTS]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditNote]:
        return super().get_queryset(request).select_related("refund", "dispute")

    @admin.display(description="organisation", ordering="receipt__purchase__organisation__name")
    def organisation(self, note: CreditNote) -> str:
        return note.receipt.purchase.organisation.name

    @admin.display(description="void", boolean=True)
    def void(self, note: CreditNote) -> bool:
        return note.is_void
