"""Tests: they mirror the rooms; everything may be imported here."""
