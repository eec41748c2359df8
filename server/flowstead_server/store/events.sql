-- A page of one run's events after a cursor, with what else decides whether a follower is done, in one snapshot.
-- Always answers a row; kind is null if there is no event. A page ends with the event that brings its messages to
-- 250,000 bytes, as one waits in memory for every follower that reads slowly; `available` counts what it would hold
-- without that limit. Log lines are looked for from the run's creation on only, so that older partitions are not
-- touched. $1 tenant, $2 run, $3 cursor, $4 how many
-- name: read
with run as materialized (
    select id, created, is_finished_state(state) as finished from flow_run where tenant_id = $1 and id = $2
),
event as (
    (
        select
            s.seq, 'FLOW_RUN_STATE' as kind, s.timestamp, null::uuid as task_run_id, null::text as task_name,
            null::integer as map_index, s.state, s.version, s.start_time, null::text as level, null::text as logger,
            s.message
        from flow_run_state s
        where s.flow_run_id = $2 and s.seq > $3
        order by s.seq
        limit $4
    )
    union all
    (
        select
            s.seq, 'TASK_RUN_STATE', s.timestamp, s.task_run_id, coalesce(t.name, k.name), t.map_index, s.state,
            s.version, s.start_time, null, null, s.message
        from task_run_state s
        join task_run t on t.id = s.task_run_id
        join task k on k.id = t.task_id
        where s.flow_run_id = $2 and s.seq > $3
        order by s.seq
        limit $4
    )
    union all
    (
        select
            l.seq, 'LOG', l.timestamp, l.task_run_id, coalesce(t.name, k.name), t.map_index, null, null, null, l.level,
            l.name, l.message
        from log l
        left join task_run t on t.id = l.task_run_id
        left join task k on k.id = t.task_id
        where l.flow_run_id = $2 and l.seq > $3 and l.created >= (select created from run)
        order by l.seq
        limit $4
    )
    order by seq
    limit $4
),
page as (
    select
        e.*,
        count(*) over () as available,
        sum(coalesce(octet_length(e.message), 0)) over (order by e.seq) - coalesce(octet_length(e.message), 0) as before
    from event e
)
select run.finished, page.*
from run
left join page on page.before < 250000
order by page.seq;
