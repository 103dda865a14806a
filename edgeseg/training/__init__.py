"""Training: an explicit loop, losses, schedules, checkpoints."""
