"""What leaves palate: model cards, and models in MLflow."""
