"""Labelled pictures: reading, checking, drawing and augmenting them."""
