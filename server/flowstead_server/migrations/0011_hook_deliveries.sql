-- The outbox of cloud hooks: what happened, and to whom it has to be told. Written by a trigger in the transaction of each
-- state of a flow run, so that no verb can forget it: no event is lost, and none is told that did not happen.

-- Signs what is sent; never shown.
alter table cloud_hook add column secret text, add check (octet_length(secret) between 1 and 1000);
create index cloud_hook_active_idx on cloud_hook (tenant_id, version_group_id) where active;

-- `id` is that of the state in flow_run_state. The event is kept as it was: the run may be gone when it is told.
-- hook_ids: who has to be told, until a delivery for each of them is made. That is not done in the transaction of the state,
-- which must not wait for a thousand hooks.
create table cloud_hook_event (
    id uuid primary key,
    created timestamptz not null default now(),
    tenant_id uuid not null,
    flow_run_id uuid not null,
    seq bigint not null,
    hook_ids uuid[],
    event jsonb not null,
    check (cardinality(hook_ids) > 0)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index cloud_hook_event_untold_idx on cloud_hook_event (seq) where hook_ids is not null;

-- No foreign keys: each would lock rows that all writers of states share. A hook takes its deliveries along by a trigger.
-- seq: the state's, so the order of a run's deliveries is that of its states.
-- lease: of who sends it right now, until next_attempt. sent: how many requests of it have arrived already.
create table cloud_hook_delivery (
    id uuid primary key default time_ordered_uuid(),
    created timestamptz not null default now(),
    updated timestamptz not null default now(),
    tenant_id uuid not null,
    cloud_hook_id uuid not null,
    flow_run_id uuid not null,
    event_id uuid not null,
    seq bigint not null,
    state text not null default 'Waiting',
    attempts integer not null default 0,
    next_attempt timestamptz,
    last_attempt timestamptz,
    last_error text,
    lease uuid,
    sent integer not null default 0,
    check (state in ('Waiting', 'Delivered', 'Dead')),
    check ((state = 'Waiting') = (next_attempt is not null)),
    check (lease is null or state = 'Waiting'),
    check (attempts >= 0 and sent >= 0)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index cloud_hook_delivery_due_idx on cloud_hook_delivery (cloud_hook_id, next_attempt, seq)
    where state = 'Waiting';
create index cloud_hook_delivery_order_idx on cloud_hook_delivery (cloud_hook_id, flow_run_id, seq)
    where state = 'Waiting';
create index cloud_hook_delivery_done_idx on cloud_hook_delivery (state, last_attempt) where state <> 'Waiting';
create index cloud_hook_delivery_hook_idx on cloud_hook_delivery (cloud_hook_id, created);
create index cloud_hook_delivery_event_idx on cloud_hook_delivery (event_id);
create index cloud_hook_delivery_tenant_idx on cloud_hook_delivery (tenant_id, created);
create trigger cloud_hook_delivery_set_updated before update on cloud_hook_delivery
    for each row execute function set_updated();

-- A statement that wrote states ends here. Without an active hook anywhere that is one look at an index.
-- Who listens is found once for all states of a statement that are alike, as those of a batch mostly are.
create function record_hook_events() returns trigger
language plpgsql as $$
begin
    if not exists (select from cloud_hook where active) then
        return null;
    end if;
    with changes as materialized (
        select
            s.id, s.tenant_id, s.flow_run_id, s.timestamp, s.state, s.message, s.start_time, s.serialized_state, s.version,
            s.seq, r.name as run_name, r.flow_id, f.name as flow_name, f.flow_group_id, f.version_group_id
        from new_states s
        join flow_run r on r.id = s.flow_run_id
        join flow f on f.id = r.flow_id
    ),
    listening as materialized (
        select
            kind.tenant_id, kind.state, kind.version_group_id,
            array(
                select h.id
                from cloud_hook h
                where h.tenant_id = kind.tenant_id and h.active and h.version_group_id is null
                    and h.states ? upper(kind.state)
                union all
                select h.id
                from cloud_hook h
                where h.tenant_id = kind.tenant_id and h.active and h.version_group_id = kind.version_group_id
                    and h.states ? upper(kind.state)
            ) as hook_ids
        from (select distinct c.tenant_id, c.state, c.version_group_id from changes c) kind
    )
    insert into cloud_hook_event (id, tenant_id, flow_run_id, seq, hook_ids, event)
    select c.id, c.tenant_id, c.flow_run_id, c.seq, l.hook_ids, jsonb_build_object(
        'id', c.id,
        'timestamp', c.timestamp,
        'type', 'FlowRunStateChange',
        'is_test_event', false,
        'flow_run', jsonb_build_object(
            'id', c.flow_run_id, 'name', c.run_name, 'version', c.version - 1, 'state', earlier.state
        ),
        'state', jsonb_build_object(
            'id', c.id, 'version', c.version, 'state', c.state, 'message', c.message, 'timestamp', c.timestamp,
            'start_time', c.start_time, 'serialized_state', c.serialized_state, 'flow_run_id', c.flow_run_id
        ),
        'flow', jsonb_build_object(
            'id', c.flow_id, 'name', c.flow_name, 'flow_group_id', c.flow_group_id,
            'version_group_id', c.version_group_id
        ),
        'tenant', jsonb_build_object('id', t.id, 'slug', t.slug)
    )
    from changes c
    -- a version group has no empty name, so that one stands for none; only equality can be hashed
    join listening l on l.tenant_id = c.tenant_id and l.state = c.state
        and coalesce(l.version_group_id, '') = coalesce(c.version_group_id, '')
    join tenant t on t.id = c.tenant_id
    left join lateral (
        select p.state
        from flow_run_state p
        where p.flow_run_id = c.flow_run_id and p.seq < c.seq
        order by p.seq desc
        limit 1
    ) earlier on true
    where cardinality(l.hook_ids) > 0;
    return null;
end
$$;
create trigger flow_run_state_hook_events after insert on flow_run_state
    referencing new table as new_states
    for each statement execute function record_hook_events();

-- Deletes events that nobody has to be told any more. The lock: of two that delete the last deliveries of an event at the
-- same time, each would take the other's for still there.
create function delete_told_events(events uuid[]) returns void
language sql volatile
begin atomic
    delete from cloud_hook_event e
    where e.id = any(events) and not exists (select from cloud_hook_delivery d where d.event_id = e.id);
end;

create function delete_deliveries_of_gone_hooks() returns trigger
language plpgsql as $$
declare
    events uuid[];
begin
    perform pg_advisory_xact_lock(1718384739, 3);
    with deleted as (
        delete from cloud_hook_delivery d using gone where d.cloud_hook_id = gone.id returning d.event_id
    )
    select array_agg(distinct event_id) into events from deleted;
    perform delete_told_events(events);
    return null;
end
$$;
create trigger cloud_hook_delete_deliveries after delete on cloud_hook
    referencing old table as gone
    for each statement execute function delete_deliveries_of_gone_hooks();
