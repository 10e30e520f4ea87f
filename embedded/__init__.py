"""The whole platform under one supervisor process, for a desk without any server.

Knows the doors only as commands and as HTTP; what differs from production is the
environment it hands to them (docs/adr/0006-embedded-profile.md).
"""
