"""The only room that speaks to PostgreSQL: pool, transactions, `.sql` files, migrations, leases, the embedded server.

Errors of the driver never leave it: they come out as `flowstead_server.domain.errors`. A lost database is an
ApiUnavailableError; the pool reconnects by itself with the next call.
"""

from flowstead_server.db.codecs import json_text
from flowstead_server.db.database import Connection, Database, Record, Transaction
from flowstead_server.db.lease import Lease
from flowstead_server.db.statements import Statements, load_statements

__all__ = ["Connection", "Database", "Lease", "Record", "Statements", "Transaction", "json_text", "load_statements"]
