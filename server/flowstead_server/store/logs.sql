-- Appends lines if every run that they name exists in the tenant, and, with a claim token, is of that claim; but a batch
-- with an id that was stored before is left alone. One that is being stored at this moment is waited for.
-- name: append
with input as materialized (
    select *
    from rows from (
        json_to_recordset($2::json) as (
            flow_run_id uuid, task_run_id uuid, timestamp timestamptz, name text, level text, message text, info jsonb
        )
    ) with ordinality as i (flow_run_id, task_run_id, timestamp, name, level, message, info, position)
),
asked as materialized (
    select distinct flow_run_id as id from input where flow_run_id is not null
),
runs as materialized (
    select r.id, r.claim_token from flow_run r join asked on asked.id = r.id where r.tenant_id = $1
),
asked_tasks as materialized (
    select distinct task_run_id as id from input where task_run_id is not null
),
first_look as materialized (
    select
        (select count(*) from asked) = (select count(*) from runs)
        and not exists (
            select from asked_tasks
            where not exists (select from task_run t where t.id = asked_tasks.id and t.tenant_id = $1)
        ) as complete,
        $3::uuid is null or not exists (select from runs where claim_token is distinct from $3) as current
),
locked as materialized (
    select pg_advisory_xact_lock(k.key)
    from (
        select distinct hashtextextended(asked.id::text, 0) as key
        from asked, first_look
        where first_look.complete and first_look.current
        order by key
    ) k
),
-- A claim that ended while this waited for the lock is over: its lines would stand behind the reason for its end.
verdict as materialized (
    select
        f.complete,
        f.current and (
            $3::uuid is null
            or not exists (select from asked where not flow_run_accepts(asked.id, $3::uuid, false, l.locks))
        ) as current
    from first_look f, (select count(*) as locks from locked) l
),
batch as (
    insert into log_batch (batch_id, tenant_id)
    select $4, $1
    from verdict v
    where $4::uuid is not null and v.complete and v.current
    on conflict do nothing
    returning batch_id
),
written as (
    insert into log (tenant_id, flow_run_id, task_run_id, timestamp, name, level, message, info)
    select
        $1, i.flow_run_id, i.task_run_id, coalesce(i.timestamp, now()), i.name, coalesce(i.level, 'INFO'), i.message,
        i.info
    from input i, verdict v
    where v.complete and v.current and ($4::uuid is null or exists (select from batch))
    order by i.position
)
select complete, current from verdict;

-- After an outage of the servers nothing is forgotten for as long: a client may have waited for its end.
-- name: forget_batches
delete from log_batch
where ctid = any(array(select ctid from log_batch where created < now() - $1::interval limit $2))
    and not exists (select from heartbeat_reception where receiving_since > now() - $1::interval);

-- name: ensure_partitions
select ensure_log_partitions($1);
