"""The rules of the product as pure functions and data: ids, states and their transitions, labels, parameters, errors.

Nothing here reads a clock, a database or the network; the time is an argument. Whoever breaks a rule gets an error of
`flowstead_server.domain.errors`.
"""
