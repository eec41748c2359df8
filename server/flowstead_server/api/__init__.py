"""The GraphQL API: one strawberry schema with the snake_case names of the 1.x wire.

Resolvers are thin: they turn arguments into a verb of `flowstead_server.orchestration` and its answer into a payload.
Expected failures travel as the verbs' own errors and are put on the wire in one place, `api.errors`; everything else is
masked there and logged with an id.
"""
