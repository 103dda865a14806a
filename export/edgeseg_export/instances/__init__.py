"""Instance models: from a network to files that show the same objects."""
