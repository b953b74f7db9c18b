"""Configuration. Everything that may differ between two servers comes from the environment (docs/deployment.md)."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from core import logs
from core.environment import Environment, stop
from core.rates import read_rate

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR)

DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY", "only-for-development-" + "x" * 40 if DEBUG else "")
if len(SECRET_KEY) < 32:
    stop("SECRET_KEY", "missing or shorter than 32 characters (set DEBUG=1 to try without)")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])
JWT_KEYS = env.words("JWT_KEYS", [])

PUBLIC_URL = env.address("PUBLIC_URL", "http://localhost:8000")
_secure = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", [str(urlsplit(PUBLIC_URL).hostname), "localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [PUBLIC_URL])
TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", 0, 0, 10)
RATE_LIMIT_FACTOR = env.factor("RATE_LIMIT_FACTOR", 1)
OPEN_SIGNUP = env.flag("OPEN_SIGNUP", True)
LOG_FORMAT = env.choice("LOG_FORMAT", "console", ("console", "json"))
LOGGING = logs.configure(LOG_FORMAT)
METRICS_TOKEN = env.text("METRICS_TOKEN")

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.headless",
    "core",
    "accounts",
    "tenants",
    "chat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "core.urls"
ASGI_APPLICATION = "core.asgi.application"
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
            ]
        },
    }
]

DATABASES = {"default": env.database()}
CHANNEL_LAYERS = {"default": env.layer()}
CACHES = {"default": env.cache()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_MAX_AGE = 0 if DEBUG else 300

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"Conclave <conclave@{urlsplit(PUBLIC_URL).hostname}>")
for _name, _value in env.email().items():
    globals()[_name] = _value

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = _secure and env.flag("SECURE_SSL_REDIRECT", False)
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365 if _secure else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.problem_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Conclave",
    "DESCRIPTION": "Authenticated multi-tenant chat with permissions.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}
ACCESS_TOKEN_LIFETIME = timedelta(seconds=env.number("ACCESS_TOKEN_SECONDS", 900, 30, 86_400))
REFRESH_TOKEN_LIFETIME = timedelta(days=env.number("REFRESH_TOKEN_DAYS", 30, 1, 365))
REFRESH_GRACE = timedelta(seconds=30)
"""How long a refresh token's direct predecessor still yields the same successor, for a client whose answer was lost."""

SOCKET_FRAME_BYTES = env.number("SOCKET_FRAME_BYTES", 128 * 1024, 1024)
SOCKET_PAGE_BYTES = env.number("SOCKET_PAGE_BYTES", 256 * 1024, 1024)
SOCKET_HEARTBEAT = env.number("SOCKET_HEARTBEAT", 25, 1)
SOCKET_PIPELINE = env.number("SOCKET_PIPELINE", 32, 1)
SOCKET_BAD_FRAMES = env.number("SOCKET_BAD_FRAMES", 10, 1)
SOCKET_REFUSALS = env.number("SOCKET_REFUSALS", 100, 1)
DRAIN_SECONDS = env.number("DRAIN_SECONDS", 10, 1, 600)
PRESENCE_SECONDS = env.number("PRESENCE_SECONDS", 1, 1, 5)
PRESENCE_SHOWN = env.number("PRESENCE_SHOWN", 100, 0, 500)
HUB_SWEEP_SECONDS = env.factor("HUB_SWEEP_SECONDS", 5)
DATABASE_THREADS = env.number("DATABASE_THREADS", 8, 1, 100)

# --- Rate limits, as amount/seconds (core/limits.py); RATE_LIMIT_FACTOR multiplies all but those on guesses ---
LIMIT_FRAMES = read_rate(env, "LIMIT_FRAMES", "200/4")
LIMIT_BYTES = read_rate(env, "LIMIT_BYTES", "1048576/4")
LIMIT_CONNECTS_ADDRESS = read_rate(env, "LIMIT_CONNECTS_ADDRESS", "400/20")
LIMIT_CONNECTS_USER = read_rate(env, "LIMIT_CONNECTS_USER", "120/60")
LIMIT_CONNECTS_TENANT = read_rate(env, "LIMIT_CONNECTS_TENANT", "12000/60")
LIMIT_SENDS_USER = read_rate(env, "LIMIT_SENDS_USER", "120/20")
LIMIT_SENDS_TENANT = read_rate(env, "LIMIT_SENDS_TENANT", "4000/20")
LIMIT_JOINS_USER = read_rate(env, "LIMIT_JOINS_USER", "60/60")
LIMIT_JOINS_TENANT = read_rate(env, "LIMIT_JOINS_TENANT", "1200/60")
LIMIT_BAD_TOKENS_ADDRESS = read_rate(env, "LIMIT_BAD_TOKENS_ADDRESS", "600/60")
LIMIT_GUESSES_ADDRESS = read_rate(env, "LIMIT_GUESSES_ADDRESS", "30/60")
LIMIT_GUESSES_USER = read_rate(env, "LIMIT_GUESSES_USER", "10/60")

# --- Identity: allauth and SimpleJWT (accounts/) ---
for _pair in JWT_KEYS:
    if not _pair.partition(":")[0] or len(_pair.partition(":")[2]) < 32:
        stop("JWT_KEYS", "not a list of kid:secret, each secret of 32 characters or more")
SESSION_ENGINE = "accounts.sessions"
MIDDLEWARE.append("accounts.guessing.GuessLimit")


def _limit(amount: int, rest: str) -> str:
    """A rate limit of allauth, `amount/rest`; none where RATE_LIMIT_FACTOR is 0."""
    return f"{max(1, round(amount * RATE_LIMIT_FACTOR))}/{rest}" if RATE_LIMIT_FACTOR else ""


ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_DISPLAY = "accounts.adapter.display_name"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(PUBLIC_URL).scheme
ACCOUNT_RATE_LIMITS = {
    "signup": _limit(20, "m/ip"),
    "login": _limit(30, "m/ip"),
    "confirm_email": _limit(1, "10s/key"),
    "manage_email": _limit(10, "m/user"),
    "reset_password": ",".join(filter(None, (_limit(20, "m/ip"), _limit(5, "m/key")))),
    # The rest is on guessing, and stays whatever the factor.
    "login_failed": "10/m/ip,5/300s/key",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
    "reset_password_from_key": "20/m/ip",
    "guess_code": "10/15m/key",
}
HEADLESS_ONLY = False
HEADLESS_CLIENTS = ("browser", "app")
HEADLESS_TOKEN_STRATEGY = "accounts.strategy.TokenStrategy"  # noqa: S105  a class
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME, "REFRESH_TOKEN_LIFETIME": REFRESH_TOKEN_LIFETIME}
