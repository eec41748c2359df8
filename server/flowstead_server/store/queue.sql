-- What an agent may take: runs of matching label sets that are due, and those that wait for a start time up to $4.
-- A run that was handed out (its queue time is no longer its start time) comes back only when that time has passed.
-- A running flow run with a waiting task run is taken only if its process has given no sign of life for 40 seconds.
--
-- What is due goes before what is not; then a point of priority counts as much as ten minutes of waiting.
--
-- A lane whose limits have no room is passed over, except for its runs that hold slots already; of one that has room no
-- more is looked at than fits. That is an estimate of the statement's own snapshot: under the locks of the limits
-- `take_flow_run_slots` decides.
--
-- The limits inside are literals on purpose: with bind parameters PostgreSQL plans for a tenth of all waiting runs and
-- sorts them. The surplus over what is wanted keeps agents that ask at the same moment from seeing only rows that others
-- hold; `store.queue` puts smaller literals for smaller claims.

-- $1 tenant, $2 agent, $3 its labels, $4 start up to, $5 how many (at most 100), $6 lease
-- Always answers a row at least; its id is null if nothing was claimed.
-- name: claim
with touched as (
    update agent set last_queried = now() where tenant_id = $1 and id = $2::uuid returning id
),
limits as materialized (
    select l.name, l."limit" - n.held - n.reserved as room
    from flow_concurrency_limit l
    cross join lateral label_slots(l.tenant_id, l.name, now()) n
    where l.tenant_id = $1 and l.name = any($3::text[])
),
sets as materialized (
    select
        s.id, s.priority, s.flow_group_id,
        least(
            (select min(l.room) from limits l where l.name = any(s.labels)),
            (
                select g.concurrency_limit - n.held - n.reserved
                from flow_group g
                cross join lateral flow_group_slots(g.id, now()) n
                where g.id = s.flow_group_id and g.concurrency_limit is not null
            )
        ) as room
    from label_set s
    where s.tenant_id = $1
        and ((s.labels = '{}' and $3::text[] = '{}') or (s.labels[1] = any($3::text[]) and s.labels <@ $3::text[]))
),
asked as materialized (
    select least(greatest(coalesce($4::timestamptz, now()), now()), now() + interval '60 seconds') as before
),
candidates as materialized (
    select found.*, found.queue_time > now() as is_later,
        found.queue_time - found.priority * interval '10 minutes' as position
    from (
        select due.id, due.queue_time, sets.id as label_set_id, sets.priority, sets.flow_group_id as lane_group,
            false as is_limited
        from asked, sets
        cross join lateral (
            select r.id, r.queue_time
            from flow_run r
            where r.label_set_id = sets.id and r.queue_time <= asked.before
                and (r.queue_time <= now() or r.state_start_time = r.queue_time)
                and (
                    r.state <> 'Running'
                    or coalesce(
                        (select h.heartbeat from flow_run_heartbeat h where h.flow_run_id = r.id)
                        <= now() - interval '40 seconds',
                        true
                    )
                )
            order by r.queue_time, r.id
            limit 116
        ) due
        where sets.room is null
        union all
        select due.id, due.queue_time, sets.id, sets.priority, sets.flow_group_id, due.is_limited
        from asked, sets
        cross join lateral (
            select w.id, w.queue_time, true as is_limited
            from (
                select r.id, r.queue_time, row_number() over (order by r.queue_time, r.id) as n
                from flow_run r
                where sets.room > 0 and r.label_set_id = sets.id and r.queue_time <= asked.before
                    and (r.queue_time <= now() or r.state_start_time = r.queue_time) and r.state <> 'Running'
                order by r.queue_time, r.id
                limit 116
            ) w
            where w.n <= sets.room
            union all
            (
                select r.id, r.queue_time, false
                from flow_run r
                where r.label_set_id = sets.id and r.state = 'Running' and r.queue_time <= now()
                    and coalesce(
                        (select h.heartbeat from flow_run_heartbeat h where h.flow_run_id = r.id)
                        <= now() - interval '40 seconds',
                        true
                    )
                order by r.queue_time, r.id
                limit 116
            )
        ) due
        where sets.room is not null
    ) found
    order by is_later, position, found.id
    limit 116
),
-- Limits are locked before rows, as everywhere.
locks as materialized (
    select case
            when exists (select from candidates c where c.is_limited)
            then (select lock_limits_of_flow_runs(array_agg(c.id)) from candidates c where c.is_limited)
            else 0
        end as taken
),
picked as materialized (
    select r.id, r.state, r.flow_id, c.queue_time as due, c.is_later, c.position, c.is_limited, c.lane_group
    from locks, candidates c
    join flow_run r on r.id = c.id
    where r.queue_time = c.queue_time and r.label_set_id = c.label_set_id and locks.taken >= 0
    order by c.is_later, c.position, c.id
    limit least($5::integer, 100)
    for no key update of r skip locked
),
-- Others take the run's lock first and its row then, so this side may only try. A run that was made while its flow's
-- limit was set is not in the lane for such runs yet: it goes there instead, and is claimed the next time.
owned as materialized (
    select
        p.id, p.due, p.is_later, p.position, f.flow_group_id,
        p.is_limited and p.state <> 'Running' as is_limited,
        g.concurrency_limit is not null and p.lane_group is null and p.state <> 'Running' as is_misplaced
    from picked p
    join flow f on f.id = p.flow_id
    join flow_group g on g.id = f.flow_group_id
    where pg_try_advisory_xact_lock(hashtextextended(p.id::text, 0))
),
admitted as materialized (
    select t.run_id
    from (
        select array_agg(o.id order by o.is_later, o.position, o.id) as ids
        from owned o
        where o.is_limited and not o.is_misplaced
    ) w
    cross join lateral take_flow_run_slots(w.ids, cardinality(w.ids)) t
    where w.ids is not null and t.waits_for is null
),
moved as (
    update flow_run r
    set label_set_id = queue_lane(
        r.tenant_id, (select s.labels from label_set s where s.id = r.label_set_id), o.flow_group_id, r.priority
    )
    from owned o
    where r.id = o.id and o.is_misplaced
),
moment as materialized (
    -- later than every end that left room
    select count(*) as locks, clock_timestamp() as now
    from (select o.id from owned o union all select a.run_id from admitted a) held
),
claimed as (
    update flow_run r
    set claim_token = gen_random_uuid(),
        agent_id = a.id,
        queue_time = greatest(m.now, r.state_start_time) + $6::interval,
        version = case when r.state = 'Running' then r.version else r.version + 1 end,
        state = case when r.state = 'Running' then r.state else 'Submitted' end,
        state_timestamp = case when r.state = 'Running' then r.state_timestamp else m.now end,
        state_message = case when r.state = 'Running' then r.state_message else 'Submitted for execution' end,
        state_start_time = null,
        serialized_state = case
            when r.state = 'Running' then r.serialized_state
            else jsonb_build_object(
                'type', 'Submitted', 'message', 'Submitted for execution',
                -- around the waiting state itself, also when an earlier claim or queue wrapped it
                'state', case
                    when jsonb_typeof(r.serialized_state->'state') = 'object' then r.serialized_state->'state'
                    else r.serialized_state
                end
            )
        end
    from owned o, moment m, touched a
    where r.id = o.id and m.locks > 0 and not o.is_misplaced
        and (not o.is_limited or o.id in (select d.run_id from admitted d))
    returning r.id, r.tenant_id, r.flow_id, r.name, r.version, r.state, r.state_timestamp, r.state_message,
        r.serialized_state, r.claim_token, r.queue_time, r.parameters, r.run_config, m.now,
        r.queue_time - $6::interval as start_time, o.is_later, o.position
),
history as (
    insert into flow_run_state (tenant_id, flow_run_id, timestamp, state, message, serialized_state, version)
    select tenant_id, id, state_timestamp, state, state_message, serialized_state, version
    from claimed
    where state = 'Submitted'
),
heartbeats as (
    insert into flow_run_heartbeat (flow_run_id, heartbeat, followed)
    select id, now, now from claimed
    on conflict (flow_run_id) do update
    set heartbeat = excluded.heartbeat, followed = excluded.followed, beats = false
)
select
    exists (select from touched) as agent_known,
    (select count(*) from candidates) as seen,
    clock_timestamp() as now,
    (
        select min(later.queue_time)
        from asked, sets
        cross join lateral (
            select r.queue_time
            from flow_run r
            where r.label_set_id = sets.id and r.queue_time > asked.before
            order by r.queue_time
            limit 1
        ) later
    ) as next_start_time,
    c.id, c.name, c.version, c.claim_token, c.queue_time as lease_expires, c.start_time, c.state = 'Running' as restart,
    c.parameters, c.run_config, f.id as flow_id, f.name as flow_name, f.storage, f.core_version
from (select) always
left join (claimed c join flow f on f.id = c.flow_id) on true
order by c.is_later, c.position, c.id;

-- The claims that still hold are extended; the rest is not answered. $2: JSON list of {id, claim_token}.
-- What holds is decided before the update: that finds a run no more which became Running in this very moment, and its
-- agent would end the process. One that was lost in this moment is answered once more, which fencing makes harmless.
-- name: extend_claims
with input as materialized (
    select * from jsonb_to_recordset($2::jsonb) as i (id uuid, claim_token uuid)
),
held as materialized (
    select r.id, r.state = 'Cancelling' as cancelling
    from input i
    join flow_run r on r.id = i.id and r.tenant_id = $1 and r.claim_token = i.claim_token
    where r.state in ('Submitted', 'Running', 'Cancelling')
),
-- A lease that has ended left its slots to others: it goes on only if they are still free.
submitted as materialized (
    select array_agg(r.id) as ids
    from held
    join flow_run r on r.id = held.id and r.state = 'Submitted'
),
slotless as materialized (
    select t.run_id
    from submitted s
    cross join lateral take_flow_run_slots(s.ids, cardinality(s.ids)) t
    where exists (select from limits_of_flow_runs(s.ids)) and t.waits_for is not null
),
extended as (
    update flow_run r
    set queue_time = greatest(r.queue_time, now() + $3::interval)
    from input i
    where r.id not in (select s.run_id from slotless s) and r.id = i.id and r.tenant_id = $1 and r.claim_token = i.claim_token
        and r.state = 'Submitted' and r.queue_time is not null
    returning r.id
),
-- at most every half minute, so that it costs less than the heartbeats do; who is busy has its turn the next time
quiet as materialized (
    select h.flow_run_id as id
    from held
    join flow_run_heartbeat h on h.flow_run_id = held.id
    where h.followed is null or h.followed < now() - interval '25 seconds'
    for update of h skip locked
),
followed as (
    update flow_run_heartbeat h set followed = now() from quiet where h.flow_run_id = quiet.id
)
select id, cancelling, now() + $3::interval as lease_expires, (select count(*) from extended) as extended
from held
where id not in (select s.run_id from slotless s);

-- For agents that poll: what is returned is kept from others for 15 seconds after its start, if the agent is known.
-- $1 tenant, $2 agent (may be null), $3 labels, $4 start up to
-- name: poll
with touched as (
    update agent set last_queried = now() where tenant_id = $1 and id = $2::uuid returning id
),
limits as materialized (
    select l.name, l."limit" - n.held - n.reserved as room
    from flow_concurrency_limit l
    cross join lateral label_slots(l.tenant_id, l.name, now()) n
    where l.tenant_id = $1 and l.name = any($3::text[])
),
sets as materialized (
    select
        s.id, s.priority, s.flow_group_id,
        least(
            (select min(l.room) from limits l where l.name = any(s.labels)),
            (
                select g.concurrency_limit - n.held - n.reserved
                from flow_group g
                cross join lateral flow_group_slots(g.id, now()) n
                where g.id = s.flow_group_id and g.concurrency_limit is not null
            )
        ) as room
    from label_set s
    where s.tenant_id = $1
        and ((s.labels = '{}' and $3::text[] = '{}') or (s.labels[1] = any($3::text[]) and s.labels <@ $3::text[]))
),
asked as materialized (
    select coalesce($4::timestamptz, now()) as before
),
candidates as materialized (
    select found.*, found.queue_time > now() as is_later,
        found.queue_time - found.priority * interval '10 minutes' as position
    from (
        select due.id, due.queue_time, sets.id as label_set_id, sets.priority, sets.flow_group_id as lane_group,
            false as is_limited
        from asked, sets
        cross join lateral (
            select r.id, r.queue_time
            from flow_run r
            where r.label_set_id = sets.id and r.queue_time <= asked.before
                and (r.queue_time <= now() or r.state_start_time = r.queue_time)
                and (
                    r.state <> 'Running'
                    or coalesce(
                        (select h.heartbeat from flow_run_heartbeat h where h.flow_run_id = r.id)
                        <= now() - interval '40 seconds',
                        true
                    )
                )
            order by r.queue_time, r.id
            limit 41
        ) due
        where sets.room is null
        union all
        select due.id, due.queue_time, sets.id, sets.priority, sets.flow_group_id, due.is_limited
        from asked, sets
        cross join lateral (
            select w.id, w.queue_time, true as is_limited
            from (
                select r.id, r.queue_time, row_number() over (order by r.queue_time, r.id) as n
                from flow_run r
                where sets.room > 0 and r.label_set_id = sets.id and r.queue_time <= asked.before
                    and (r.queue_time <= now() or r.state_start_time = r.queue_time) and r.state <> 'Running'
                order by r.queue_time, r.id
                limit 41
            ) w
            where w.n <= sets.room
            union all
            (
                select r.id, r.queue_time, false
                from flow_run r
                where r.label_set_id = sets.id and r.state = 'Running' and r.queue_time <= now()
                    and coalesce(
                        (select h.heartbeat from flow_run_heartbeat h where h.flow_run_id = r.id)
                        <= now() - interval '40 seconds',
                        true
                    )
                order by r.queue_time, r.id
                limit 41
            )
        ) due
        where sets.room is not null
    ) found
    order by is_later, position, found.id
    limit 41
),
picked as materialized (
    select r.id, c.queue_time, r.state, c.is_later, c.position
    from candidates c
    join flow_run r on r.id = c.id
    where r.queue_time = c.queue_time
    order by c.is_later, c.position, c.id
    limit 25
    for no key update of r skip locked
),
leased as (
    update flow_run r
    set queue_time = greatest(now(), p.queue_time) + interval '15 seconds'
    from picked p
    where r.id = p.id and p.state not in ('Submitted', 'Queued')
        and exists (select from touched)
)
select id, state from picked order by is_later, position, id;

-- How much waits for an agent with these labels: now (counted up to 100), and when the next is due; and which of the
-- runs that the agent ($3, may be null) has started are to be stopped.
-- name: ready
with limits as materialized (
    select l.name, l."limit" - n.held - n.reserved as room
    from flow_concurrency_limit l
    cross join lateral label_slots(l.tenant_id, l.name, now()) n
    where l.tenant_id = $1 and l.name = any($2::text[])
),
sets as materialized (
    select
        s.id, s.priority, s.flow_group_id,
        least(
            (select min(l.room) from limits l where l.name = any(s.labels)),
            (
                select g.concurrency_limit - n.held - n.reserved
                from flow_group g
                cross join lateral flow_group_slots(g.id, now()) n
                where g.id = s.flow_group_id and g.concurrency_limit is not null
            )
        ) as room
    from label_set s
    where s.tenant_id = $1
        and ((s.labels = '{}' and $2::text[] = '{}') or (s.labels[1] = any($2::text[]) and s.labels <@ $2::text[]))
)
select
    (
        select count(*)
        from (
            select
            from sets
            cross join lateral (
                (
                    select from flow_run r
                    where (sets.room is null or sets.room > 0) and r.label_set_id = sets.id and r.queue_time <= now()
                    limit 100
                )
                union all
                (
                    select from flow_run r
                    where sets.room <= 0 and r.label_set_id = sets.id and r.state = 'Running' and r.queue_time <= now()
                    limit 100
                )
            ) due
            limit 100
        ) counted
    ) as waiting,
    (
        select min(later.queue_time)
        from sets
        cross join lateral (
            select r.queue_time
            from flow_run r
            where r.label_set_id = sets.id and r.queue_time > now()
            order by r.queue_time
            limit 1
        ) later
    ) as next_start_time,
    (select coalesce(array_agg(id), '{}') from sets) as label_set_ids,
    (
        select coalesce(array_agg(r.id), '{}')
        from flow_run r
        where r.tenant_id = $1 and r.state = 'Cancelling' and r.agent_id = $3::uuid
    ) as cancelling;
