"""The Celery app and its tasks: thin shells around `cikg.extraction`."""
