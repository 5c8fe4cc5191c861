"""Pages about people and organisations; signing in and out is allauth's, under /accounts/."""

from django.urls import path

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("console/members/", views.members, name="members"),
    path("console/members/invite/", views.invite, name="invite"),
    path("console/members/<int:pk>/role/", views.change_role, name="change_role"),
    path("console/members/<int:pk>/remove/", views.remove_member, name="remove_member"),
    path("console/invitations/<int:pk>/withdraw/", views.withdraw_invitation, name="withdraw_invitation"),
    path("console/organisation/", views.organisation_settings, name="organisation"),
    path("console/organisation/new/", views.new_organisation, name="new_organisation"),
    path("console/organisation/choose/", views.choose_organisation, name="choose_organisation"),
    path("console/account/", views.account, name="account"),
    path("console/account/delete/", views.delete_account, name="delete_account"),
    path("invitations/<str:secret>/", views.invitation, name="invitation"),
    path("invitations/<str:secret>/accept/", views.accept_invitation, name="accept_invitation"),
]
