"""What each address answers."""

from palate.serving.routes import admin, answers, feedback, health, put_items

ENDPOINTS = (*answers.ENDPOINTS, *feedback.ENDPOINTS, *health.ENDPOINTS, *put_items.ENDPOINTS, *admin.ENDPOINTS)

__all__ = ["ENDPOINTS"]
