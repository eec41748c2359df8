"""The verbs: what callers may do. Each checks the rules of `domain`, owns its transaction and says hints after it.

Every verb works inside `caller.tenant_id` only; ids of other tenants are as good as unknown. Expected failures are
errors of `flowstead_server.domain.errors`; a verb that raises has stored nothing, unless it says otherwise.
"""
