-- Task runs that failed or whose result is cached, by their state, the newest first. The two columns are empty in the
-- states that every task run goes through, and no index holds `state` itself: an ordinary change of state still rewrites
-- its row within the page and touches no index. The query compiler reads them in place of the columns that they repeat.
create function is_marked_state(name text) returns boolean
language sql immutable parallel safe
return name in ('Cached', 'Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed');

alter table task_run
    add column marked_state text generated always as (case when is_marked_state(state) then state end) stored,
    add column marked_time timestamptz
        generated always as (case when is_marked_state(state) then state_timestamp end) stored;

create index task_run_tenant_marked_idx on task_run (tenant_id, marked_state, marked_time)
    where marked_state is not null;

-- Also serves what task_run_task_idx was for, and so costs a new task run no more.
create index task_run_task_marked_idx on task_run (task_id, marked_state, marked_time);
drop index task_run_task_idx;

-- By a hash, because a cache key may be longer than an entry of an index can be.
drop index task_run_cache_key_idx;
create index task_run_cache_key_idx on task_run (hashtextextended(cache_key, 0), marked_state, marked_time)
    where cache_key is not null;
