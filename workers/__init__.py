"""The message door: Celery application, runner, dispatcher and schedule."""
