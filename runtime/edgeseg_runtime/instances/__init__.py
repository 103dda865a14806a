"""Which one, not only what: objects with a box, a score, a class and a mask each."""
