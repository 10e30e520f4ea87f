"""The middle: job types, one file each, and the rules of submitting them.

Knows no framework: no Flask, no Celery, no SQLAlchemy. Handlers import their domain
inside the function, so that the web door can read the catalogue without numpy.
"""
