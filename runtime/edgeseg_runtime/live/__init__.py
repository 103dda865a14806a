"""Live sources: the newest frame, honest numbers, and what to do when something breaks."""
