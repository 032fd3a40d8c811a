"""What each address answers."""

from palate.serving.routes import admin, answers, feedback, health, items, put_items

ENDPOINTS = (
    *answers.ENDPOINTS,
    *feedback.ENDPOINTS,
    *health.ENDPOINTS,
    *items.ENDPOINTS,
    *put_items.ENDPOINTS,
    *admin.ENDPOINTS,
)

__all__ = ["ENDPOINTS"]
