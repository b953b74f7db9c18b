"""The product's settings over a channel layer that lies: `serve --settings=tests.settings_lying`."""

from core.settings import *  # noqa: F403
from core.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["BACKEND"] = "tests.lying.LyingLayer"
