"""The tables, the session and one repository file per aggregate.

The only room that knows SQLAlchemy. Repository functions take an open
connection first and never commit: the transaction belongs to the caller.
"""
