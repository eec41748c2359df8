"""The query side of the schema: table types made from the catalog, their scalars, and the `Query` root.

Building them never fails at run time: they are made once, at import, from `flowstead_server.compiler.catalog`.
"""
