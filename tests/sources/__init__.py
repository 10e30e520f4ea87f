"""Servers that speak the wire formats of sources, over tables whose truth is known."""
