"""Training and scoring of models that tell objects apart."""
