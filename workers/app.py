"""The Celery application of this process, made from its environment."""

import os

from tasks.settings import Settings
from workers.settings import make_app

settings = Settings.from_environ(os.environ)
app = make_app(settings)
