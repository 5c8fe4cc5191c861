"""The settings of every test: those of the project, read in an environment and a folder of its own."""

import os
import tempfile
from pathlib import Path

# Before Django reads its settings. Every pytest process, xdist's workers included, gets a folder for itself, so that
# databases, caches, mail and the broker of parallel workers never meet; an inherited one would be shared, hence no
# setdefault.
_DATA_DIR = Path(tempfile.mkdtemp(prefix="parley-tests-"))
os.environ.update(
    {
        "PARLEY_DATA_DIR": str(_DATA_DIR),
        "DEBUG": "true",
        "SECRET_KEY": "tests-only-and-long-enough-to-satisfy-every-check-of-it",
        "LOG_LEVEL": "WARNING",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1,[::1]",
        "CELERY_TASK_ALWAYS_EAGER": "true",
        # Opt-in to a database server (the concurrency tests run on both); PARLEY_TEST_DATABASE_URL names one.
        "DATABASE_URL": os.environ.get("PARLEY_TEST_DATABASE_URL", ""),
        "RESUME_REDIS_URL": "",
        "DRAIN_S": "0",
        # A test whose caller vanishes waits for nobody to come back, unless it says so.
        "RESUME_WITHIN_S": "0",
        # What a developer's shell or .env may hold must change no test.
        "PUBLIC_URL": "http://testserver",
        **dict.fromkeys(
            [
                "OPENAI_API_KEY", "OPENAI_REALTIME_URL", "OPENAI_API_URL", "LOCAL_MODELS_URL",
                "DEFAULT_REALTIME_MODEL", "TEXT_FALLBACK_MODEL", "BREAKER_FAILURES", "BREAKER_WINDOW_S", "REDIS_URL",
                "CELERY_BROKER_URL", "EMAIL_URL", "RECAPTCHA_PUBLIC_KEY", "RECAPTCHA_PRIVATE_KEY", "STRIPE_SECRET_KEY",
                "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "STRIPE_CHECKOUT_ORIGIN", "STRIPE_AUTOMATIC_TAX",
                "GRANTED_CREDITS_LAST_DAYS", "SELLER_TAX_CODE",
                "METRICS_TOKEN", "TRUSTED_PROXIES", "CSRF_TRUSTED_ORIGINS", "SECURE_SSL_REDIRECT", "LOG_FORMAT",
                "TIME_ZONE",
                "CALL_STARTS_PER_IP", "CALL_STARTS_PER_AGENT", "CONCURRENT_CALLS_PER_IP", "CONCURRENT_CALLS_PER_AGENT",
                "CONCURRENT_CALLS_PER_ORGANISATION", "CAPTCHA_REMEMBERED_S", "TICKET_LIFETIME_S", "SIGN_UPS_PER_IP",
                "API_REQUESTS_PER_MINUTE",
                "SIGN_UP_CREDITS", "SIGN_UP_CREDITS_A_DAY", "HOUSE_CREDITS", "CLIENT_IP_KEPT_DAYS",
                "ENCRYPTION_KEYS", "OUTGOING_ALLOW_PRIVATE", "NOTES_MODEL", "NOTES_API_URL", "NOTES_API_KEY",
                "NOTES_PAID_BY", "NOTES_TRANSCRIPT_TOKENS_MAX", "HUBSPOT_API_URL",
            ],
            "",
        ),
    }
)  # fmt: skip
for _name in ("SECRET_KEY_FILE", "OPENAI_API_KEY_FILE", "DATABASE_URL_FILE", "REDIS_URL_FILE", "EMAIL_URL_FILE"):
    os.environ.pop(_name, None)

from config.settings import *  # noqa: E402, F403

# What the product uses is looked at by tests/accounts/test_passwords.py.
PASSWORD_HASHERS = ["tests.hashing.QuickArgon2"]

# Nothing here outlives the run, so nothing has to reach the disk: what was committed outlives a killed process anyway.
if "init_command" in DATABASES["default"].get("OPTIONS", {}):  # noqa: F405
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"  # noqa: F405
