"""Find the settings that meet a budget: resolution, pruning, precision, engine and threads."""
