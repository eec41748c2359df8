"""Generates `prefect._generated`: typed Python for every operation in `client/operations/*.graphql`.

Operations are checked against `schema.graphql`; anything wrong in either is reported as one line per problem
(`file:line:column: message`), nothing is written, and the exit code is 1.  The output depends on the input only, is
formatted, and imports neither graphql nor gql.

The pipeline: `documents` (read and validate) -> `collect` (what each operation needs, as `model` values) -> `render`
(Python text).
"""
