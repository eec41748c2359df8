-- Flow runs by state, the newest first: what people ask for most after the newest runs.
-- Runs that succeeded are left out: they are most of all, so that an index would not help to find them, and the change
-- that every run ends with stays free of it. Task runs have no such index: the state of a task run is in none, so that
-- a change of state rewrites its row within the page and touches no index at all.
create index flow_run_tenant_state_idx on flow_run (tenant_id, state, state_timestamp) where state <> 'Success';
