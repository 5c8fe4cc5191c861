"""Every setting, read from the environment; .env beside manage.py is read first and never overrides it."""

from pathlib import Path

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.filesystem_broker import filesystem_broker_options
from config.logging import logging_config
from config.secret_key import secret_key_in

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.flag("DEBUG", False)
DATA_DIR = Path(env.text("PARLEY_DATA_DIR", str(BASE_DIR / "var")))
DATA_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = env.secret("SECRET_KEY") or secret_key_in(DATA_DIR)
# What encrypts customers' secrets at rest, newest first; empty: derived from SECRET_KEY (config/encryption.py).
ENCRYPTION_KEYS = [key.strip() for key in env.secret("ENCRYPTION_KEYS").split(",") if key.strip()]
if any(len(key) < 32 for key in ENCRYPTION_KEYS):
    raise ImproperlyConfigured("Every one of ENCRYPTION_KEYS must have 32 characters or more.")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# Where visitors reach us, for links in mails: scheme, host and port, without a slash at the end.
PUBLIC_URL = env.text("PUBLIC_URL", f"http://127.0.0.1:{env.integer('PORT', 8000)}")
HTTPS = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_ratelimit",
    "outbox",
    "accounts",
    "billing",
    "voice",
]

MIDDLEWARE = [
    "config.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.errors.PlainErrorsMiddleware",
    "voice.status.apart.ApartFromVisitors",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.OrganisationMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.organisation",
            ]
        },
    }
]

# Data: SQLite unless DATABASE_URL names a PostgreSQL database.

DATABASE_URL = env.secret("DATABASE_URL")
if DATABASE_URL:
    DATABASES = {"default": {**environ.Env.db_url_config(DATABASE_URL), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "db.sqlite3",
            # Opening the file and its settings anew for every request costs a millisecond each time.
            "CONN_MAX_AGE": 600,
            "OPTIONS": {
                # IMMEDIATE: a transaction that will write must not start as a reader and fail half-way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # secure_delete: what is deleted is overwritten, not only left out (voice/transcripts/deletion.py).
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;",
            },
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }

REDIS_URL = env.secret("REDIS_URL")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    CACHES = {"default": {"BACKEND": "config.sqlite_cache.SqliteCache", "LOCATION": str(DATA_DIR / "cache.sqlite3")}}
    # A process listens as long as it has calls, perhaps for months, and to the orders of all of them on one channel.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"group_expiry": 10 * 365 * 24 * 3600, "capacity": 10_000},
        }
    }
# The cache's counters are atomic (SQLite upsert, Redis INCR); the check knows only two other backends by name.
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.W001"]

# Work off the request: Celery on files unless CELERY_BROKER_URL names a broker. See config/celery.py.

CELERY_BROKER_URL = env.secret("CELERY_BROKER_URL", REDIS_URL or "filesystem://")
if CELERY_BROKER_URL.startswith("filesystem"):
    CELERY_BROKER_TRANSPORT_OPTIONS = filesystem_broker_options(DATA_DIR / "broker")
CELERY_TASK_ALWAYS_EAGER = env.flag("CELERY_TASK_ALWAYS_EAGER", False)

# People: django-allauth. E-mail is the name; nobody gets in before the address is verified.

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/console/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignUpForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
SIGN_UPS_PER_IP = env.text("SIGN_UPS_PER_IP", "5/h")
SIGN_UP_CREDITS = env.integer("SIGN_UP_CREDITS", 1000)
# A ceiling on what sign-ups may cost in a day, against farming; 0 grants nothing.
SIGN_UP_CREDITS_A_DAY = env.integer("SIGN_UP_CREDITS_A_DAY", 50_000)

# Mail: kept as files and shown at /dev/mail/ in development, EMAIL_URL (smtp://…) otherwise.

DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Parley <parley@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_FILE_PATH = str(DATA_DIR / "mail")
if email_url := env.secret("EMAIL_URL"):
    vars().update(environ.Env.email_url_config(email_url))
elif DEBUG:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# The web's own safety.

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.words("TRUSTED_PROXIES") else None
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 0)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
# Networks (CIDR) of the reverse proxies whose X-Forwarded-For is believed; empty: the socket's peer is the client.
TRUSTED_PROXIES = env.words("TRUSTED_PROXIES")
RATELIMIT_IP_META_KEY = "accounts.client_ip.client_ip_of"
RATELIMIT_FAIL_OPEN = False

# CAPTCHA: Google's when both keys are set, ALTCHA's proof of work on our own server otherwise.

RECAPTCHA_PUBLIC_KEY = env.text("RECAPTCHA_PUBLIC_KEY")
RECAPTCHA_PRIVATE_KEY = env.secret("RECAPTCHA_PRIVATE_KEY")
RECAPTCHA_VERIFY_REQUEST_TIMEOUT = 5
CAPTCHA = "recaptcha" if RECAPTCHA_PUBLIC_KEY and RECAPTCHA_PRIVATE_KEY else "altcha"
if bool(RECAPTCHA_PUBLIC_KEY) != bool(RECAPTCHA_PRIVATE_KEY):
    raise ImproperlyConfigured("RECAPTCHA_PUBLIC_KEY and RECAPTCHA_PRIVATE_KEY must be set together.")
if CAPTCHA == "recaptcha":
    INSTALLED_APPS.append("django_recaptcha")
_GOOGLE = ["https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/"] if CAPTCHA == "recaptcha" else []

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE, *_GOOGLE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "media-src": [SELF],
        "worker-src": [SELF],
        "frame-src": _GOOGLE or [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

# Static files.

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.static_storage.ModuleManifestStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_TZ = True

LOGGING_CONFIG = None
LOG_FORMAT = env.choice("LOG_FORMAT", "text" if DEBUG else "json", {"text", "json"})
logging_config(LOG_FORMAT, env.text("LOG_LEVEL", "INFO"))
# Whoever shows it may read /metrics; empty: there is no such page.
METRICS_TOKEN = env.secret("METRICS_TOKEN")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("METRICS_TOKEN must have 16 characters or more.")

# Models. Without a key every agent is served by the embedded models.

OPENAI_API_KEY = env.secret("OPENAI_API_KEY")
OPENAI_REALTIME_URL = env.text("OPENAI_REALTIME_URL", "wss://api.openai.com/v1/realtime")
# Where text, transcriptions and speech are asked for over HTTP.
OPENAI_API_URL = env.text("OPENAI_API_URL", "https://api.openai.com/v1")
LOCAL_MODELS_URL = env.text("LOCAL_MODELS_URL", "http://127.0.0.1:8790/v1")
DEFAULT_REALTIME_MODEL = env.text("DEFAULT_REALTIME_MODEL", "gpt-realtime-mini")
# Holds a call in writing when no model with a voice is left.
TEXT_FALLBACK_MODEL = env.text("TEXT_FALLBACK_MODEL", "gpt-4.1")
# A model is kept away from calls after so many failures in a row, each within so long of the one before.
BREAKER_FAILURES = env.integer("BREAKER_FAILURES", 3, least=1)
BREAKER_WINDOW_S = env.integer("BREAKER_WINDOW_S", 60, least=1)

# Notes: written after a call by a chat model at an OpenAI-compatible address, or by the embedded one without a key.

NOTES_MODEL = env.text("NOTES_MODEL", "gpt-4.1")
NOTES_API_URL = env.text("NOTES_API_URL", "https://api.openai.com/v1").rstrip("/")
NOTES_API_KEY = env.secret("NOTES_API_KEY", OPENAI_API_KEY)
NOTES_PAID_BY = env.choice("NOTES_PAID_BY", "customer", {"customer", "operator"})
# Longer conversations are cut in the middle, and the note says so.
NOTES_TRANSCRIPT_TOKENS_MAX = env.integer("NOTES_TRANSCRIPT_TOKENS_MAX", 24_000, least=500, most=200_000)
HUBSPOT_API_URL = env.text("HUBSPOT_API_URL", "https://api.hubapi.com").rstrip("/")

# Who may start a call, and how often. Rates are django-ratelimit's: number/s, /m, /h or /d.

CALL_STARTS_PER_IP = env.words("CALL_STARTS_PER_IP", "6/m,40/h,120/d")
CALL_STARTS_PER_AGENT = env.words("CALL_STARTS_PER_AGENT", "60/m")
CONCURRENT_CALLS_PER_IP = env.integer("CONCURRENT_CALLS_PER_IP", 3, least=1)
CONCURRENT_CALLS_PER_AGENT = env.integer("CONCURRENT_CALLS_PER_AGENT", 20, least=1)
CONCURRENT_CALLS_PER_ORGANISATION = env.integer("CONCURRENT_CALLS_PER_ORGANISATION", 40, least=1)
# Of one API key that has no limit of its own.
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", 600, least=1)
CAPTCHA_REMEMBERED_S = env.integer("CAPTCHA_REMEMBERED_S", 600)
TICKET_LIFETIME_S = env.integer("TICKET_LIFETIME_S", 60, least=5)
# How long a call waits for its caller after their connection broke.
RESUME_WITHIN_S = env.integer("RESUME_WITHIN_S", 30)
# Where what was said in a call is kept for a minute, encrypted, for the process that takes the call over: a Redis that
# writes nothing to disk. One that does is not used.
RESUME_REDIS_URL = env.secret("RESUME_REDIS_URL", REDIS_URL)
# How long calls that cannot go on elsewhere may last once their web process is told to stop.
DRAIN_S = env.integer("DRAIN_S", 20, most=3600)
# What the demo organisation may spend before the page says that the demo is used up.
HOUSE_CREDITS = env.integer("HOUSE_CREDITS", 10_000)
# Client addresses are kept this long so that abuse can be blocked, then removed.
CLIENT_IP_KEPT_DAYS = env.integer("CLIENT_IP_KEPT_DAYS", 30, least=1)

# Selling credits: Stripe when its key is set, our own stand-in for it in development, and nothing otherwise.

STRIPE_SECRET_KEY = env.secret("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRET = env.secret("STRIPE_WEBHOOK_SECRET")
# Where Stripe's API is; empty: its own address, or our stand-in for it in development.
STRIPE_API_BASE = env.text("STRIPE_API_BASE")
# Where Stripe's checkout pages are: another origin when Stripe serves them under a domain of yours.
STRIPE_CHECKOUT_ORIGIN = env.text("STRIPE_CHECKOUT_ORIGIN", "https://checkout.stripe.com").rstrip("/")
PAYMENTS = "stripe" if STRIPE_SECRET_KEY else "development" if DEBUG else "off"
if STRIPE_SECRET_KEY and not STRIPE_WEBHOOK_SECRET:
    raise ImproperlyConfigured("STRIPE_SECRET_KEY needs STRIPE_WEBHOOK_SECRET: an unsigned event must not buy credits.")
STRIPE_AUTOMATIC_TAX = env.flag("STRIPE_AUTOMATIC_TAX", False)
# Days after which granted credits (sign-up, goodwill) are gone; 0: never.
GRANTED_CREDITS_LAST_DAYS = env.integer("GRANTED_CREDITS_LAST_DAYS", 0, most=36_500)
# Who sells, as receipts say it.
SELLER_NAME = env.text("SELLER_NAME", "Parley")
SELLER_ADDRESS = env.text("SELLER_ADDRESS")
SELLER_TAX_ID = env.text("SELLER_TAX_ID")
SELLER_COUNTRY = env.text("SELLER_COUNTRY", "IN")
SELLER_TAX_NOTE = env.text("SELLER_TAX_NOTE")
# What is sold, as the tax office numbers it (India: an HSN or SAC code); printed on receipts and credit notes.
SELLER_TAX_CODE = env.text("SELLER_TAX_CODE")
SELLER_EMAIL = env.text("SELLER_EMAIL", DEFAULT_FROM_EMAIL)

# Requests to addresses that customers type: webhooks, tools, CRMs (voice/outgoing).

# true: they may also reach this machine, and over http; for a developer's own receiver.
OUTGOING_ALLOW_PRIVATE = env.flag("OUTGOING_ALLOW_PRIVATE", DEBUG)
if OUTGOING_ALLOW_PRIVATE and not DEBUG:
    raise ImproperlyConfigured("OUTGOING_ALLOW_PRIVATE opens this machine to every customer: it needs DEBUG.")
