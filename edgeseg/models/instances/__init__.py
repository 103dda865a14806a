"""Networks that tell objects apart."""
