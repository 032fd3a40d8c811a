"""What each address answers."""

from palate.serving.routes import answers, feedback, health

ENDPOINTS = (*answers.ENDPOINTS, *feedback.ENDPOINTS, *health.ENDPOINTS)

__all__ = ["ENDPOINTS"]
