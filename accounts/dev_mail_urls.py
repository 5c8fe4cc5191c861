"""The development mailbox, under /dev/mail/; a 404 anywhere but on a developer's own machine."""

from django.urls import path

from accounts import dev_mail_views

app_name = "dev_mail"

urlpatterns = [
    path("", dev_mail_views.mailbox, name="mailbox"),
    path("<slug:key>/", dev_mail_views.mail, name="mail"),
]
