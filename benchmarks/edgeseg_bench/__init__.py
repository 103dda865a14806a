"""Measure exported models where they will run. Torch-free."""
