"""Finds what is wrong with a data set before a network learns it."""
