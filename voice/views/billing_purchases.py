"""The pages of what was bought: all purchases, one of them, and its receipt to print or to keep as PDF."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.permissions import MemberRequest, member_required
from billing import receipts
from billing.receipt_pdf import receipt_pdf
from billing.statements import purchases_of

_PURCHASES_A_PAGE = 25


@member_required
@require_safe
def purchases(request: MemberRequest) -> HttpResponse:
    receipts.issue_missing(request.organisation.pk)
    page = Paginator(purchases_of(request.organisation.pk), _PURCHASES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/purchases.html", {"page": page})


@member_required
@require_safe
def purchase(request: MemberRequest, purchase_id: UUID) -> HttpResponse:
    """Show one purchase: where its payment stands, what came back of it, and its receipt."""
    found = get_object_or_404(purchases_of(request.organisation.pk), pk=purchase_id)
    context = {
        "purchase": found,
        "receipt": receipts.issue_receipt(found.pk) if found.is_credited else None,
        "refunds": found.refunds.all(),
        "disputes": found.disputes.all(),
    }
    return render(request, "billing/purchase.html", context)


@member_required
@require_safe
def receipt(request: MemberRequest, number: str) -> HttpResponse:
    found = _receipt_or_404(request, number)
    context = {
        "receipt": found,
        "seller_tax_name": receipts.tax_id_name(found.seller["country"]),
        "buyer_tax_name": receipts.tax_id_name(found.buyer["country"]),
    }
    return render(request, "billing/receipt.html", context)


@member_required
@require_safe
def receipt_as_pdf(request: MemberRequest, number: str) -> HttpResponse:
    found = _receipt_or_404(request, number)
    response = HttpResponse(receipt_pdf(found), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="receipt-{found.full_number}.pdf"'
    response["Cache-Control"] = "private, no-store"
    return response


def _receipt_or_404(request: MemberRequest, number: str) -> receipts.Receipt:
    found = receipts.find_receipt(request.organisation.pk, number)
    if found is None:
        raise Http404
    return found
