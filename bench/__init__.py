"""Benches: they measure and print, and judge nothing but broken runs."""
