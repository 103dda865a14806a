"""Data sets whose truth tells objects apart."""
