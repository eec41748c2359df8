-- For how long a project keeps logs and finished runs, where it differs from the server: rules with the members state,
-- logs_days and runs_days.
alter table project add column retention jsonb not null default '[]' check (jsonb_typeof(retention) = 'array');

-- Finds the runs of a flow that ended long ago. A run enters it once, when it ends.
create index flow_run_finished_idx on flow_run (flow_id, state, state_timestamp) where is_finished_state(state);

-- Also makes the partitions of earlier days whose lines fell into the default one, because nobody made any for a while.
create or replace function ensure_log_partitions(days_ahead integer) returns integer
language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    made integer := 0;
    day date;
    partition_name text;
begin
    -- several servers do this at the same hour
    perform pg_advisory_xact_lock(1718384739, 2);
    for day in
        select today + n from generate_series(0, days_ahead) n
        union
        select distinct (l.created at time zone 'UTC')::date from log_default l
    loop
        partition_name := 'log_p' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(partition_name) is not null;
        execute format('create table %I (like log including all)', partition_name);
        -- the attached table must not overlap with rows of the default partition
        execute format(
            'with moved as (delete from log_default where created >= %1$L and created < %2$L returning *)
             insert into %3$I select * from moved',
            day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC', partition_name
        );
        execute format(
            'alter table log attach partition %I for values from (%L) to (%L)',
            partition_name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
        );
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Empties the partition of a day. Only that partition is locked: nothing waits that does not read this day.
create function empty_log_partition(day date) returns void
language plpgsql as $$
begin
    execute format('truncate table %I', 'log_p' || to_char(day, 'YYYYMMDD'));
end
$$;

-- Removes the empty partition of a day; one with lines stays, and the answer is false. Takes, for a moment, a lock on the
-- whole log: the caller sets a short lock_timeout.
create function drop_log_partition(day date) returns boolean
language plpgsql as $$
declare
    partition_name text := 'log_p' || to_char(day, 'YYYYMMDD');
    has_lines boolean;
begin
    lock table only log in access exclusive mode;
    execute format('select exists (select from %I)', partition_name) into has_lines;
    if has_lines then
        return false;
    end if;
    execute format('drop table %I', partition_name);
    return true;
end
$$;

-- Older partitions than the runs are not looked at. The hour allows for a clock that was set back between the two.
create or replace function delete_logs_of_gone_runs() returns trigger
language plpgsql as $$
begin
    delete from log l using gone
    where l.flow_run_id = gone.id and l.created >= (select min(created) from gone) - interval '1 hour';
    return null;
end
$$;
