-- Makes the deliveries of new events, the oldest first, about $1 of them. One process does it at a time: it makes nothing
-- while another one does, so that no later event of a run gets ahead of an earlier one.
-- A delivery of a run whose earlier one has to be tried again (see `take`) waits for that. What nobody is there for is
-- deleted: its hooks have gone.
-- name: spread
with mine as materialized (
    select pg_try_advisory_xact_lock(1718384739, 4) as locked
),
untold as materialized (
    select u.id, sum(cardinality(u.hook_ids)) over (order by u.seq) - cardinality(u.hook_ids) as made_before
    from (
        select e.id, e.seq, e.hook_ids
        from cloud_hook_event e
        where e.hook_ids is not null
        order by e.seq
        limit 500
    ) u
    where (select m.locked from mine m)
),
fresh as materialized (
    select e.id, e.tenant_id, e.flow_run_id, e.seq, e.hook_ids
    from untold u
    join cloud_hook_event e on e.id = u.id
    where u.made_before < $1::bigint and e.hook_ids is not null
    for update of e
),
made as (
    insert into cloud_hook_delivery (tenant_id, cloud_hook_id, flow_run_id, event_id, seq, next_attempt)
    select
        f.tenant_id, h.id, f.flow_run_id, f.id, f.seq,
        coalesce(
            (
                select max(d.next_attempt)
                from cloud_hook_delivery d
                where d.cloud_hook_id = h.id and d.flow_run_id = f.flow_run_id and d.state = 'Waiting'
                    and d.lease is null and d.attempts in (1, 2)
            ),
            now()
        )
    from fresh f
    cross join unnest(f.hook_ids) hook_id
    join cloud_hook h on h.id = hook_id
    returning event_id
),
told as (
    update cloud_hook_event e
    set hook_ids = null
    from (select distinct m.event_id from made m) m
    where e.id = m.event_id
),
gone as (
    delete from cloud_hook_event e
    using fresh f
    where e.id = f.id and f.id not in (select m.event_id from made m)
)
select count(*) from fresh;

-- Deliveries that are due, for whoever sends them: theirs until the lease ends.
-- Hooks that have something waiting are found by jumping from one to the next in the index; of each, the longest due are
-- taken, as many as its share allows, so that no hook holds up another. Hooks that are switched off keep theirs.
-- Of one run, a hook is told one thing after the other: what failed less than three times holds up what came after it.
-- The limit inside is a literal on purpose, as in queue.sql; so are the orders that only the index of waiting rows has, and
-- the subquery in place of `not exists`, which would be joined with all that waits.
-- $1 hooks that are being called right now (JSON list of {id, calls}), $2 calls of a hook at a time (at most 8),
-- $3 how many, $4 lease
-- name: take
with recursive waiting (hook_id) as (
    (
        select d.cloud_hook_id
        from cloud_hook_delivery d
        where d.state = 'Waiting'
        order by d.cloud_hook_id, d.next_attempt, d.seq
        limit 1
    )
    union all
    select (
        select d.cloud_hook_id
        from cloud_hook_delivery d
        where d.state = 'Waiting' and d.cloud_hook_id > w.hook_id
        order by d.cloud_hook_id, d.next_attempt, d.seq
        limit 1
    )
    from waiting w
    where w.hook_id is not null
),
busy as (
    select b.id, b.calls from jsonb_to_recordset($1::jsonb) as b (id uuid, calls integer)
),
candidates as materialized (
    select due.id, due.place, due.next_attempt
    from waiting w
    join cloud_hook h on h.id = w.hook_id and h.active
    left join busy b on b.id = h.id
    cross join lateral (
        select d.id, d.next_attempt, row_number() over (order by d.next_attempt, d.seq) + coalesce(b.calls, 0) as place
        from (
            select d.id, d.next_attempt, d.seq
            from cloud_hook_delivery d
            where d.cloud_hook_id = h.id and d.state = 'Waiting' and d.next_attempt <= now()
                and (
                    select e.id
                    from cloud_hook_delivery e
                    where e.cloud_hook_id = d.cloud_hook_id and e.flow_run_id = d.flow_run_id and e.state = 'Waiting'
                        and e.seq < d.seq
                        and (e.attempts < 3 or (e.attempts = 3 and e.lease is not null))
                    limit 1
                ) is null
            order by d.next_attempt, d.seq
            limit 8
        ) d
    ) due
    where due.place <= $2::integer
),
picked as materialized (
    select d.id
    from candidates c
    join cloud_hook_delivery d on d.id = c.id
    where d.state = 'Waiting' and d.next_attempt <= now()
    order by c.place, c.next_attempt
    limit $3::integer
    for no key update of d skip locked
),
taken as (
    update cloud_hook_delivery d
    set attempts = d.attempts + 1,
        lease = gen_random_uuid(),
        last_attempt = now(),
        next_attempt = now() + $4::interval
    from picked p
    where d.id = p.id
    returning d.*
)
select
    t.id, t.tenant_id, t.cloud_hook_id, t.lease, t.attempts, t.sent, h.type, h.config, h.secret, e.event
from taken t
join cloud_hook h on h.id = t.cloud_hook_id
join cloud_hook_event e on e.id = t.event_id
order by t.seq;

-- For how many seconds the delivery that is longest due has been waiting, or the event that none was made of; 0 if none.
-- name: oldest_due
select coalesce(extract(epoch from now() - least(
    (
        select min(first.next_attempt)
        from cloud_hook h
        cross join lateral (
            select d.next_attempt
            from cloud_hook_delivery d
            where d.cloud_hook_id = h.id and d.state = 'Waiting'
            order by d.next_attempt
            limit 1
        ) first
        where h.active and first.next_attempt <= now()
    ),
    (select e.created from cloud_hook_event e where e.hook_ids is not null order by e.seq limit 1)
)), 0)::float8;

-- name: delivered
update cloud_hook_delivery
set state = 'Delivered', next_attempt = null, last_error = null, lease = null, sent = $3
where id = $1 and lease = $2;

-- name: dead
update cloud_hook_delivery
set state = 'Dead', next_attempt = null, last_error = $3, lease = null, sent = $4
where id = $1 and lease = $2;

-- To be tried again after $5. What it holds up (see `take`) is not due before, either, so that nobody looks at it in vain.
-- name: failed
with failed as (
    update cloud_hook_delivery
    set next_attempt = now() + $5::interval, last_error = $3, lease = null, sent = $4
    where id = $1 and lease = $2
    returning cloud_hook_id, flow_run_id, seq, attempts, next_attempt
),
held_up as (
    update cloud_hook_delivery d
    set next_attempt = f.next_attempt
    from failed f
    where d.cloud_hook_id = f.cloud_hook_id and d.flow_run_id = f.flow_run_id and d.state = 'Waiting' and d.seq > f.seq
        and f.attempts < 3 and d.lease is null and d.next_attempt < f.next_attempt
)
select count(*) from failed;

-- A dead delivery is tried again from the start, and a waiting one now. $1 tenant, $2 delivery
-- name: retry
update cloud_hook_delivery
set state = 'Waiting', next_attempt = now(), attempts = case when state = 'Dead' then 0 else attempts end
where tenant_id = $1 and id = $2 and (state = 'Dead' or (state = 'Waiting' and lease is null))
returning flow_run_id;

-- Makes cleaning wait for whoever deletes hooks, and the other way round; false if somebody else cleans already.
-- name: lock
select pg_try_advisory_xact_lock(1718384739, 3);

-- What is old enough to be forgotten, and what has waited for as long without its hook being on.
-- $1 how long what was delivered is kept, $2 how long the rest, $3 how many
-- name: forget
with recursive waiting (hook_id) as (
    (
        select d.cloud_hook_id
        from cloud_hook_delivery d
        where d.state = 'Waiting'
        order by d.cloud_hook_id, d.next_attempt, d.seq
        limit 1
    )
    union all
    select (
        select d.cloud_hook_id
        from cloud_hook_delivery d
        where d.state = 'Waiting' and d.cloud_hook_id > w.hook_id
        order by d.cloud_hook_id, d.next_attempt, d.seq
        limit 1
    )
    from waiting w
    where w.hook_id is not null
),
old as materialized (
    (
        select d.id
        from cloud_hook_delivery d
        where d.state = 'Delivered' and d.last_attempt < now() - $1::interval
        limit $3::integer
    )
    union all
    (
        select d.id
        from cloud_hook_delivery d
        where d.state = 'Dead' and d.last_attempt < now() - $2::interval
        limit $3::integer
    )
    union all
    (
        select d.id
        from waiting w
        left join cloud_hook h on h.id = w.hook_id
        join cloud_hook_delivery d on d.cloud_hook_id = w.hook_id and d.state = 'Waiting'
        where h.id is null or (not h.active and d.created < now() - $2::interval)
        limit $3::integer
    )
)
delete from cloud_hook_delivery d using old where d.id = old.id returning d.state, d.event_id;

-- name: forget_events
select delete_told_events($1::uuid[]);
