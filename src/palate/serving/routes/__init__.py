"""What each address answers."""

from palate.serving.routes import answers, feedback, health, items

ENDPOINTS = (*answers.ENDPOINTS, *feedback.ENDPOINTS, *health.ENDPOINTS, *items.ENDPOINTS)

__all__ = ["ENDPOINTS"]
