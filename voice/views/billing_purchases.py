"""The pages of what was bought: purchases, and their receipts and credit notes to print or to keep as PDF."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.permissions import MemberRequest, member_required
from billing import credit_notes, receipts
from billing.receipt_pdf import credit_note_pdf, receipt_pdf
from billing.statements import purchases_of

_PURCHASES_A_PAGE = 25


@member_required
@require_safe
def purchases(request: MemberRequest) -> HttpResponse:
    page = Paginator(purchases_of(request.organisation.pk), _PURCHASES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/purchases.html", {"page": page})


@member_required
@require_safe
def purchase(request: MemberRequest, purchase_id: UUID) -> HttpResponse:
    """Show one purchase: where its payment stands, what came back of it, and its receipt."""
    found = get_object_or_404(purchases_of(request.organisation.pk), pk=purchase_id)
    context = {
        "purchase": found,
        "receipt": receipts.receipts_of(request.organisation.pk).filter(purchase=found).first(),
        "refunds": found.refunds.select_related("credit_note"),
        "disputes": found.disputes.select_related("credit_note"),
    }
    return render(request, "billing/purchase.html", context)


@member_required
@require_safe
def receipt(request: MemberRequest, number: str) -> HttpResponse:
    found = _receipt_or_404(request, number)
    context = {"receipt": found, "credit_notes": found.credit_notes.all(), **_tax_names(found)}
    return render(request, "billing/receipt.html", context)


@member_required
@require_safe
def receipt_as_pdf(request: MemberRequest, number: str) -> HttpResponse:
    found = _receipt_or_404(request, number)
    return _as_file(receipt_pdf(found), f"receipt-{found.full_number}.pdf")


@member_required
@require_safe
def credit_note(request: MemberRequest, number: str) -> HttpResponse:
    found = _credit_note_or_404(request, number)
    context = {"note": found, "receipt": found.receipt, **_tax_names(found.receipt)}
    return render(request, "billing/credit_note.html", context)


@member_required
@require_safe
def credit_note_as_pdf(request: MemberRequest, number: str) -> HttpResponse:
    found = _credit_note_or_404(request, number)
    return _as_file(credit_note_pdf(found), f"credit-note-{found.full_number}.pdf")


def _receipt_or_404(request: MemberRequest, number: str) -> receipts.Receipt:
    found = receipts.find_receipt(request.organisation.pk, number)
    if found is None:
        raise Http404
    return found


def _credit_note_or_404(request: MemberRequest, number: str) -> credit_notes.CreditNote:
    found = credit_notes.find_credit_note(request.organisation.pk, number)
    if found is None:
        raise Http404
    return found


def _tax_names(found: receipts.Receipt) -> dict[str, str]:
    return {
        "seller_tax_name": receipts.tax_id_name(found.seller["country"]),
        "buyer_tax_name": receipts.tax_id_name(found.buyer["country"]),
    }


def _as_file(pdf: bytes, name: str) -> HttpResponse:
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
