"""Hints between server processes: something happened to a run, or there is something to claim.

A hint says that reading again may pay off, never what there is to read: the tables are the truth. Hints may be lost,
merged or repeated, so whoever follows something re-reads from its cursor when woken, and slowly without being woken.
"""
