"""The query compiler: a validated GraphQL selection over tables becomes one SQL statement that returns the answer.

`catalog` describes the tables, `selection` and `arguments` read the validated document, `statement` writes the SQL,
`scope` carries the caller's tenant into every table that is read. A value that a client sent is always a bind
parameter; an identifier always comes from the catalog. Wrong values raise `CompileError` with one clear sentence.
"""
