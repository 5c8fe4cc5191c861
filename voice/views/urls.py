"""Addresses of voice's pages; people and organisations are in accounts/urls.py."""

from django.urls import include, path

from voice.views import (
    agent_embed,
    agents,
    billing,
    billing_ledger,
    billing_purchases,
    billing_settings,
    calls,
    embed,
    landing,
    overview,
    pricing,
    talk,
)

console_patterns = [
    path("", overview.overview, name="overview"),
    path("agents/", agents.agents, name="agents"),
    path("agents/new/", agents.choose_template, name="choose_template"),
    path("agents/new/<slug:template>/", agents.create, name="create_agent"),
    path("agents/<uuid:agent_id>/", agents.agent, name="agent"),
    path("agents/<uuid:agent_id>/edit/", agents.edit, name="edit_agent"),
    path("agents/<uuid:agent_id>/embed/", agent_embed.embed, name="embed_agent"),
    path("agents/<uuid:agent_id>/embed/check/", agent_embed.check, name="check_page"),
    path("agents/<uuid:agent_id>/pause/", agents.pause, name="pause_agent"),
    path("agents/<uuid:agent_id>/resume/", agents.resume, name="resume_agent"),
    path("calls/", calls.calls, name="calls"),
    path("calls/<uuid:session_id>/", calls.call, name="call"),
    path("billing/", billing.billing, name="billing"),
    path("billing/buy/", billing.buy, name="buy"),
    path("billing/bought/", billing.bought, name="bought"),
    path("billing/top-up/<uuid:attempt_id>/confirm/", billing.confirm_top_up, name="confirm_top_up"),
    path("billing/ledger/", billing_ledger.ledger_page, name="ledger"),
    path("billing/ledger.csv", billing_ledger.ledger_csv, name="ledger_csv"),
    path("billing/purchases/", billing_purchases.purchases, name="purchases"),
    path("billing/purchases/<uuid:purchase_id>/", billing_purchases.purchase, name="purchase"),
    path("billing/receipts/<str:number>/", billing_purchases.receipt, name="receipt"),
    path("billing/receipts/<str:number>/pdf/", billing_purchases.receipt_as_pdf, name="receipt_pdf"),
    path("billing/credit-notes/<str:number>/", billing_purchases.credit_note, name="credit_note"),
    path("billing/credit-notes/<str:number>/pdf/", billing_purchases.credit_note_as_pdf, name="credit_note_pdf"),
    path("billing/settings/", billing_settings.settings_page, name="billing_settings"),
    path("billing/settings/auto-top-up/", billing_settings.save_auto_top_up, name="save_auto_top_up"),
    path("billing/settings/budget/", billing_settings.save_budget, name="save_budget"),
    path("billing/settings/forget-card/", billing_settings.forget_card, name="forget_card"),
]

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("talk/<str:public_key>/", talk.talk, name="talk"),
    path("embed.js", embed.script, name="embed_script"),
    path("embed/<str:public_key>/", embed.frame, name="embed_frame"),
    path("embed/<str:public_key>/theme.css", embed.theme, name="embed_theme"),
    path("pricing/", pricing.pricing, name="pricing"),
    path("console/", include((console_patterns, "console"))),
]
