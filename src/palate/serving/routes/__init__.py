"""What each address answers."""

from palate.serving.routes import admin, answers, feedback, health

ENDPOINTS = (*answers.ENDPOINTS, *feedback.ENDPOINTS, *health.ENDPOINTS, *admin.ENDPOINTS)

__all__ = ["ENDPOINTS"]
