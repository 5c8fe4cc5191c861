"""Every address on the web, by audience; websockets are in websocket_urls.py."""

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView

from config.metrics import metrics

# The operator's door has the same locks as everybody's: verified address, second factor, rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Parley"
admin.site.index_title = "Operations"

robots = TemplateView.as_view(template_name="robots.txt", content_type="text/plain")

urlpatterns = [
    path("", include("voice.views.urls")),
    path("", include("accounts.urls")),
    path("", include("voice.api.urls")),
    path("billing/", include("billing.urls")),
    path("accounts/", include("allauth.urls")),
    path("dev/mail/", include("accounts.dev_mail_urls")),
    path("admin/", admin.site.urls),
    # Answers 404 anywhere but on a developer's own machine.
    path("dev/stripe/", include("billing.development_checkout.urls")),
    path("metrics", metrics),
    path("robots.txt", robots),
    # What browsers ask for on pages without a link of ours, the admin's for one.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg")),
]
