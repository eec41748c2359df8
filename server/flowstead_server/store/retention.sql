-- Inside these transactions nobody is waited for longer than a moment, and nothing waits for the disk: what a crash
-- brings back is deleted again. $2: how statements are planned; those about one day must know which one it is, while
-- those about runs, and the checks of foreign keys behind them, are the same each time.
-- name: hurry
select
    set_config('lock_timeout', $1, true),
    set_config('synchronous_commit', 'off', true),
    set_config('plan_cache_mode', $2, true);

-- name: now
select now();

-- name: own_rules
select id, retention from project where retention <> '[]';

-- name: days_of_log
select to_date(substr(c.relname, 6), 'YYYYMMDD') as day
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'log'::regclass and c.relname ~ '^log_p\d{8}$';

-- Whose lines a day holds: how many runs, which of them may lose their log now, and how many will in a day's time.
-- Steps from run to run in the index of the day. $1, $2 bounds of the day, $3 cutoffs, $4 projects with own rules,
-- $5 before when lines without a run go, $6 how many runs to name at most
-- name: day_of_log
with recursive cutoff as materialized (
    select coalesce(project_id, '00000000-0000-0000-0000-000000000000') as project_id, state, logs_before
    from jsonb_to_recordset($3::jsonb) as c (project_id uuid, state text, logs_before timestamptz)
),
run_of_line (id) as (
    (
        select l.flow_run_id
        from log l
        where l.created >= $1 and l.created < $2 and l.flow_run_id is not null
        order by l.flow_run_id
        limit 1
    )
    union all
    select (
        select l.flow_run_id
        from log l
        where l.created >= $1 and l.created < $2 and l.flow_run_id > o.id
        order by l.flow_run_id
        limit 1
    )
    from run_of_line o
    where o.id is not null
),
verdict as (
    select
        o.id,
        -- the run is gone, or has ended long ago
        r.id is null or coalesce(r.state_timestamp < c.logs_before, false) as expired,
        r.id is null or coalesce(r.state_timestamp < c.logs_before + interval '1 day', false) as soon
    from run_of_line o
    left join flow_run r on r.id = o.id
    left join flow f on f.id = r.flow_id
    left join cutoff c
        on c.state = r.state
        and c.project_id
            = case when f.project_id = any($4::uuid[]) then f.project_id else '00000000-0000-0000-0000-000000000000' end
    where o.id is not null
    union all
    select null, $2::timestamptz <= $5::timestamptz, $2::timestamptz <= $5::timestamptz + interval '1 day'
    where exists (select from log l where l.created >= $1 and l.created < $2 and l.flow_run_id is null)
)
select
    count(*) as runs,
    count(*) filter (where expired) as expired,
    count(*) filter (where soon) as soon,
    coalesce((array_agg(id) filter (where expired and id is not null))[1:$6::integer], '{}') as expired_ids,
    coalesce(bool_or(expired) filter (where id is null), false) as unowned_expired
from verdict;

-- name: count_day
select count(*) from log where created >= $1 and created < $2;

-- A ctid names a line within its partition only: the bounds are those of one. $3 runs, $4 how many lines
-- Not the lines of a run that was started again after it was found.
-- name: delete_lines
delete from log l
where l.created >= $1 and l.created < $2 and l.ctid = any(array(
    select d.ctid
    from log d
    where d.created >= $1 and d.created < $2
        and d.flow_run_id = any(array(
            select i.id
            from unnest($3::uuid[]) i (id)
            left join flow_run r on r.id = i.id
            where r.id is null or is_finished_state(r.state)
        ))
    limit $4
));

-- name: delete_unowned_lines
delete from log l
where l.created >= $1 and l.created < $2 and l.ctid = any(array(
    select d.ctid from log d where d.created >= $1 and d.created < $2 and d.flow_run_id is null limit $3
));

-- name: empty_day
select empty_log_partition($1);

-- name: drop_day
select drop_log_partition($1);

-- Runs that ended long enough ago, but none whose parent has not ended. $1 cutoffs, $2 projects with own rules,
-- $3 how many at most, $4 none of these
-- name: expired_runs
with cutoff as materialized (
    select coalesce(project_id, '00000000-0000-0000-0000-000000000000') as project_id, state, runs_before
    from jsonb_to_recordset($1::jsonb) as c (project_id uuid, state text, runs_before timestamptz)
)
select
    r.id, r.state, r.created, c.runs_before as before,
    (select count(*) from task_run k where k.flow_run_id = r.id) as task_runs
from flow f
join cutoff c
    on c.project_id
        = case when f.project_id = any($2::uuid[]) then f.project_id else '00000000-0000-0000-0000-000000000000' end
cross join lateral (
    select x.id, x.state, x.created
    from flow_run x
    left join flow_run p on p.id = x.parent_flow_run_id
    where x.flow_id = f.id and x.state = c.state and is_finished_state(x.state) and x.state_timestamp < c.runs_before
        and (p.id is null or coalesce(is_finished_state(p.state), false))
        and x.id <> all($4::uuid[])
    order by x.state_timestamp
    limit $3
) r
limit $3;

-- name: delete_lines_of_runs
delete from log l
using (
    select d.id, d.created
    from log d
    where d.created >= $2
        and d.flow_run_id = any(array(select r.id from flow_run r where r.id = any($1::uuid[]) and is_finished_state(r.state)))
    limit $3
) doomed
where l.id = doomed.id and l.created = doomed.created;

-- Deletes runs unless they have changed since they were found, or are being changed. $1: rows of id, state and before
-- name: delete_runs
with doomed as (
    select r.id
    from jsonb_to_recordset($1::jsonb) as i (id uuid, state text, before timestamptz)
    join flow_run r on r.id = i.id
    where r.state = i.state and is_finished_state(r.state) and r.state_timestamp < i.before
    for update of r skip locked
)
delete from flow_run r using doomed where r.id = doomed.id
returning r.id;

-- name: delete_messages
delete from message m
using (
    select x.id
    from tenant t
    cross join lateral (
        select i.id from message i where i.tenant_id = t.id and i.created < $1 order by i.created limit $2
    ) x
    limit $2
) doomed
where m.id = doomed.id;

-- name: count_messages
select count(*) from tenant t join message m on m.tenant_id = t.id and m.created < $1;

-- How many lines of a day would go, by project and state of their run; null are lines without a run. $1, $2 bounds,
-- $3 cutoffs, $4 projects with own rules, $5 before when lines without a run go, $6 whether all lines go, $7 whether only
-- those go whose run goes
-- name: lines_by_project
with cutoff as materialized (
    select coalesce(project_id, '00000000-0000-0000-0000-000000000000') as project_id, state, logs_before, runs_before
    from jsonb_to_recordset($3::jsonb)
        as c (project_id uuid, state text, logs_before timestamptz, runs_before timestamptz)
),
line as materialized (
    select l.flow_run_id, count(*) as lines
    from log l
    where l.created >= $1 and l.created < $2
    group by l.flow_run_id
)
select f.project_id, r.state, sum(line.lines)::bigint as rows
from line
left join flow_run r on r.id = line.flow_run_id
left join flow_run p on p.id = r.parent_flow_run_id
left join flow f on f.id = r.flow_id
left join cutoff c
    on c.state = r.state
    and c.project_id
        = case when f.project_id = any($4::uuid[]) then f.project_id else '00000000-0000-0000-0000-000000000000' end
where case
    when $6::boolean then true
    when $7::boolean then
        r.state_timestamp < c.runs_before and (p.id is null or coalesce(is_finished_state(p.state), false))
    when r.id is not null then r.state_timestamp < c.logs_before
    else line.flow_run_id is not null or $2::timestamptz <= $5::timestamptz
end
group by f.project_id, r.state;

-- How many runs would go, with what hangs on them, by project and state. $1 cutoffs, $2 projects with own rules
-- name: runs_by_project
with cutoff as materialized (
    select coalesce(project_id, '00000000-0000-0000-0000-000000000000') as project_id, state, runs_before
    from jsonb_to_recordset($1::jsonb) as c (project_id uuid, state text, runs_before timestamptz)
),
doomed as materialized (
    select r.id, f.project_id, r.state
    from flow f
    join cutoff c
        on c.project_id
            = case when f.project_id = any($2::uuid[]) then f.project_id else '00000000-0000-0000-0000-000000000000' end
    join flow_run r
        on r.flow_id = f.id and r.state = c.state and is_finished_state(r.state) and r.state_timestamp < c.runs_before
    left join flow_run p on p.id = r.parent_flow_run_id
    where p.id is null or coalesce(is_finished_state(p.state), false)
)
select project_id, state, 'flow_run' as kind, count(*) as rows from doomed group by project_id, state
union all
select d.project_id, d.state, 'flow_run_state', count(*)
from doomed d join flow_run_state s on s.flow_run_id = d.id group by d.project_id, d.state
union all
select d.project_id, d.state, 'task_run', count(*)
from doomed d join task_run k on k.flow_run_id = d.id group by d.project_id, d.state
union all
select d.project_id, d.state, 'task_run_state', count(*)
from doomed d join task_run_state s on s.flow_run_id = d.id group by d.project_id, d.state
union all
select d.project_id, d.state, 'task_run_artifact', count(*)
from doomed d
join task_run k on k.flow_run_id = d.id
join task_run_artifact a on a.task_run_id = k.id
group by d.project_id, d.state;

-- What a row of each table takes on the disk, indexes included, by the database's own statistics.
-- name: row_bytes
select c.relname as kind, pg_total_relation_size(c.oid) / c.reltuples::float8 as bytes
from pg_class c
where c.reltuples > 0 and c.oid in (
    'flow_run'::regclass, 'flow_run_state'::regclass, 'task_run'::regclass, 'task_run_state'::regclass,
    'task_run_artifact'::regclass, 'message'::regclass
);

-- What the lines of a day take on the disk, indexes included, and how many there are.
-- name: day_size
select
    pg_total_relation_size(to_regclass('log_p' || to_char($3::date, 'YYYYMMDD'))) as bytes,
    (select count(*) from log where created >= $1 and created < $2) as lines;

-- name: names_of_projects
select p.id, p.name, t.slug as tenant, (select count(*) from tenant) > 1 as many_tenants
from project p join tenant t on t.id = p.tenant_id
where p.id = any($1::uuid[]);
