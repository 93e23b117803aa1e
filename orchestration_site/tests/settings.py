"""The site's own settings, for tests within this process: in a data folder that goes with it, and blind to `.env`."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="orchestration-test-")
os.environ["ENV_FILE"] = os.devnull
Path(os.environ["DATA_DIR"], "static").mkdir()
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)

from orchestration_site.settings import *  # noqa: E402, F403 - read after the environment is set, and whole

#: The real one takes 0.3 s a password on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
