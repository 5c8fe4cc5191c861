"""The product's addresses, the development checkout's, and a webhook that only writes down what it gets."""

from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from config.urls import urlpatterns as of_the_product

received: list[dict] = []
# What the webhook answers next, first to last; 200 when nothing is left.
answers: list[int] = []


@csrf_exempt
def webhook(request):
    received.append({"body": request.body, "signature": request.headers["Stripe-Signature"]})
    return HttpResponse(status=answers.pop(0) if answers else 200)


urlpatterns = [
    path("billing/stripe/webhook", webhook),
    path("dev/stripe/", include("billing.development_checkout.urls")),
    *of_the_product,
]
