"""The product's settings over a layer that loses what tells of a removal: `--settings=tests.settings_forgetful`."""

from core.settings import *  # noqa: F403
from core.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["BACKEND"] = "tests.lying.ForgetfulLayer"
