-- Says that a server receives heartbeats now. After a gap of $1 without one, or a jump of the clock, it begins anew.
-- name: receive
insert into heartbeat_reception as h (receiving_since, last_seen)
values (now(), now())
on conflict (id) do update
set receiving_since = case
        when h.last_seen between now() - $1::interval and now() + $1::interval then h.receiving_since else now()
    end,
    last_seen = now();

-- Runs that may be dead while their tasks run or while they are being cancelled, the newest first. $1 limit, $2 how many.
-- Task runs of a run that ended without its process are looked for during six hours after its end.
-- No index holds the state of task runs: they are looked up for each of few flow runs, one being enough.
-- name: find_dead
select r.id
from tenant t
cross join lateral (
    select l.id, l.flow_id
    from flow_run l
    where l.tenant_id = t.id and l.state = 'Cancelling' and l.state_timestamp <= now() - $1::interval
    union all
    select l.id, l.flow_id
    from flow_run l
    cross join lateral (select from task_run k where k.flow_run_id = l.id and k.state = 'Running' limit 1) running
    where l.tenant_id = t.id and (
        (l.state = 'Running' and l.state_timestamp <= now() - $1::interval)
        or (l.state in ('Failed', 'TimedOut', 'Cancelled')
            and l.state_timestamp > now() - $1::interval - interval '6 hours')
    )
) r
join flow_run_heartbeat h on h.flow_run_id = r.id and h.heartbeat <= now() - $1::interval
join flow f on f.id = r.flow_id
join flow_group g on g.id = f.flow_group_id
where not g.settings @> '{"heartbeat_enabled": false}'
    and exists (select from heartbeat_reception where receiving_since <= now() - $1::interval)
order by h.heartbeat desc
limit $2;

-- Runs that should go on but may have nothing left that would make them, the oldest first. A task run that is Queued
-- waits for a slot, for which only a process can ask.
-- $1 limit, $2 how many, $3 how long an agent's word holds
-- name: find_lost
select r.id
from tenant t
cross join lateral (
    select l.id, l.flow_id, l.claim_token
    from flow_run l
    left join lateral (
        select true as found
        from task_run k
        where k.flow_run_id = l.id
            and ((is_scheduled_state(k.state) and k.state <> 'Queued') or k.state in ('Running', 'Cancelling'))
        limit 1
    ) waiting on true
    where l.tenant_id = t.id and l.state in ('Submitted', 'Running') and l.state_timestamp <= now() - $1::interval
        and not (l.state = 'Submitted' and l.queue_time is not null and l.queue_time > now())
        and waiting.found is null
) r
join flow_run_heartbeat h on h.flow_run_id = r.id and h.heartbeat <= now() - $1::interval
join flow f on f.id = r.flow_id
join flow_group g on g.id = f.flow_group_id
where not g.settings @> '{"heartbeat_enabled": false}' and not g.settings @> '{"lazarus_enabled": false}'
    and exists (select from heartbeat_reception where receiving_since <= now() - $1::interval)
    and not (r.claim_token is not null and h.followed is not null and h.followed > now() - $3::interval)
order by h.heartbeat
limit $2;

-- Those of the runs that no other transaction is changing now; they stay ours until the end of this one.
-- name: lock
select id from unnest($1::uuid[]) as i (id) where pg_try_advisory_xact_lock(hashtextextended(id::text, 0));

-- name: signs
select
    r.id, r.tenant_id, r.state, r.version, r.claim_token, r.label_set_id, a.name as agent_name,
    r.queue_time as lease_until, h.heartbeat, coalesce(h.beats, false) as beats, h.followed,
    not g.settings @> '{"heartbeat_enabled": false}' as heartbeat_enabled,
    not g.settings @> '{"lazarus_enabled": false}' as lazarus_enabled,
    coalesce(r.times_resurrected, 0) as times_resurrected,
    (
        select count(*)
        from task_run k
        where k.flow_run_id = r.id
            and ((is_scheduled_state(k.state) and k.state <> 'Queued') or k.state = 'Cancelling')
    ) as waiting_task_runs,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', k.id, 'version', k.version, 'name', coalesce(k.name, t.name), 'max_retries', coalesce(t.max_retries, 0),
            'retry_seconds', coalesce(extract(epoch from t.retry_delay), 0),
            'retries', (select count(*) from task_run_state s where s.task_run_id = k.id and s.state = 'Retrying'),
            'cached_inputs', case
                when jsonb_typeof(k.serialized_state->'cached_inputs') = 'object'
                    and k.serialized_state->'cached_inputs' <> '{}'
                then k.serialized_state->'cached_inputs'
            end
        )), '[]')
        from task_run k
        join task t on t.id = k.task_id
        where k.flow_run_id = r.id and k.state = 'Running'
    ) as running_tasks,
    c.receiving_since, c.last_seen, now() as now
from unnest($1::uuid[]) as i (id)
join flow_run r on r.id = i.id
join flow f on f.id = r.flow_id
join flow_group g on g.id = f.flow_group_id
left join flow_run_heartbeat h on h.flow_run_id = r.id
left join agent a on a.id = r.agent_id
left join heartbeat_reception c on true
where r.state is not null;

-- name: fence
update flow_run set claim_token = null where id = any($1::uuid[]) and claim_token is not null;

-- name: count_resurrection
update flow_run set times_resurrected = coalesce(times_resurrected, 0) + 1 where id = any($1::uuid[]);
