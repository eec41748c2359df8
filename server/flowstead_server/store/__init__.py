"""Rows in, frozen values out: one module and one `.sql` file per aggregate. Decides nothing; `orchestration` does.

Functions take a Database (each statement its own transaction) or a Transaction. Every statement carries the tenant.
Errors come as `flowstead_server.db` translates them.
"""
