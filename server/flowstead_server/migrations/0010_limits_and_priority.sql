-- Concurrency limits and priority.
--
-- A slot of a limit is not stored: who holds one is read from the runs themselves, so there is nothing that could drift.
-- A flow run holds its slots while it is Running or Cancelling, and while it is Submitted and its lease has not ended.
-- Whoever gives a run a slot holds the advisory locks of all limits of that run until its commit, and counts after it has
-- them: no two can take the same slot.

-- A label set becomes a lane of the queue: runs of the same labels and priority. Runs of a flow group that has a limit
-- of its own have lanes of their own, so that a claim can pass over all that have to wait without looking at them.
alter table label_set
    add column flow_group_id uuid references flow_group on delete cascade,
    add column priority smallint not null default 0;
alter table label_set drop constraint label_set_tenant_id_labels_key;
create unique index label_set_lane_idx on label_set (tenant_id, labels, priority, flow_group_id) nulls not distinct;
create index label_set_flow_group_idx on label_set (flow_group_id) where flow_group_id is not null;

alter table flow_run add check (priority between -100 and 100);
alter table flow_group add column concurrency_limit integer check (concurrency_limit >= 0);

-- Who may hold slots, by lane; the flow is for limits of flow groups, which look through all live runs of a tenant.
create index flow_run_live_idx on flow_run (tenant_id, label_set_id, flow_id)
    where state in ('Submitted', 'Queued', 'Running', 'Cancelling');
create index label_set_labels_idx on label_set using gin (labels);
-- Running flow runs with a waiting task run: they hold their slots already, so no limit keeps an agent from them.
create index flow_run_restart_idx on flow_run (label_set_id, queue_time, id)
    where queue_time is not null and state = 'Running';

-- Task runs with tags that were told to run, by each of their tags. One that no longer runs does not count; its row
-- goes when its next state is written.
create table task_run_tag (
    task_run_id uuid references task_run on delete cascade,
    tenant_id uuid not null,
    tag text not null,
    primary key (task_run_id, tag)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index task_run_tag_tag_idx on task_run_tag (tenant_id, tag);

insert into task_run_tag (task_run_id, tenant_id, tag)
select t.id, t.tenant_id, tag
from flow_run r
join task_run t on t.flow_run_id = r.id and t.state = 'Running'
join task k on k.id = t.task_id
cross join lateral (
    -- older versions took anything for a tag; what could never have a limit is none
    select distinct value #>> '{}' as tag
    from jsonb_array_elements(k.tags)
    where jsonb_typeof(value) = 'string' and octet_length(value #>> '{}') between 1 and 1000
) tags
where r.state in ('Running', 'Cancelling');

-- Answers the lane of these labels, made if there is none.
create function queue_lane(tenant uuid, wanted text[], flow_group uuid, urgency smallint) returns bigint
language plpgsql as $$
declare
    found_id bigint;
begin
    loop
        select id into found_id
        from label_set s
        where s.tenant_id = tenant and s.labels = wanted and s.priority = urgency
            and s.flow_group_id is not distinct from flow_group;
        exit when found_id is not null;
        insert into label_set (tenant_id, labels, flow_group_id, priority)
        values (tenant, wanted, flow_group, urgency)
        on conflict do nothing;
    end loop;
    return found_id;
end
$$;

-- Whether a run holds the slots of its limits at a moment.
create function holds_slot(state text, queue_time timestamptz, moment timestamptz) returns boolean
language sql immutable parallel safe
return state in ('Running', 'Cancelling') or (state = 'Submitted' and (queue_time is null or queue_time > moment));

-- Whether slots are kept for a run: its process waits and has asked within the last 35 seconds. They ask every 30, which
-- moves the run's queue time to ten minutes later.
create function keeps_slot(state text, queue_time timestamptz, moment timestamptz) returns boolean
language sql immutable parallel safe
return state = 'Queued' and queue_time > moment + interval '565 seconds';

-- How many flow runs with a label hold a slot of its limit, and for how many one is kept. In two steps, each of which has
-- one index that fits, so that figures that are out of date cannot lead to a join that goes through the runs many times.
create function label_slots(tenant uuid, label text, moment timestamptz, out held integer, out reserved integer)
language plpgsql stable as $$
declare
    lanes bigint[];
begin
    lanes := array(select s.id from label_set s where s.labels @> array[label] and s.tenant_id = tenant);
    select
        count(*) filter (where holds_slot(r.state, r.queue_time, moment)),
        count(*) filter (where keeps_slot(r.state, r.queue_time, moment))
    into held, reserved
    from flow_run r
    where r.tenant_id = tenant and r.label_set_id = any (lanes)
        and r.state in ('Submitted', 'Queued', 'Running', 'Cancelling');
end
$$;

-- The same for the limit of a flow group, whatever lanes its runs are in.
create function flow_group_slots(flow_group uuid, moment timestamptz, out held integer, out reserved integer)
language plpgsql stable as $$
declare
    tenant uuid;
    flows uuid[];
begin
    select g.tenant_id, array(select f.id from flow f where f.flow_group_id = g.id)
    into tenant, flows
    from flow_group g
    where g.id = flow_group;
    select
        count(*) filter (where holds_slot(r.state, r.queue_time, moment)),
        count(*) filter (where keeps_slot(r.state, r.queue_time, moment))
    into held, reserved
    from flow_run r
    where r.tenant_id = tenant and r.flow_id = any (flows)
        and r.state in ('Submitted', 'Queued', 'Running', 'Cancelling');
end
$$;

-- The limits that runs are under. `flow_group_id` is null for the limit of a label.
create function limits_of_flow_runs(run_ids uuid[])
returns table (run_id uuid, limit_id uuid, flow_group_id uuid, tenant_id uuid, name text, places integer)
language sql stable as $$
    select r.id, l.id, null::uuid, r.tenant_id, l.name, l."limit"
    from flow_run r
    join label_set s on s.id = r.label_set_id
    join flow_concurrency_limit l on l.tenant_id = r.tenant_id and l.name = any (s.labels)
    where r.id = any (run_ids)
    union all
    select r.id, g.id, g.id, r.tenant_id, f.name, g.concurrency_limit
    from flow_run r
    join flow f on f.id = r.flow_id
    join flow_group g on g.id = f.flow_group_id
    where r.id = any (run_ids) and g.concurrency_limit is not null
$$;

-- Locks the limits that these runs are under, in an order that all keep; answers how many.
create function lock_limits_of_flow_runs(run_ids uuid[]) returns integer
language plpgsql as $$
declare
    key bigint;
    locked integer := 0;
begin
    for key in
        select distinct hashtextextended('limit ' || l.limit_id::text, 0) from limits_of_flow_runs(run_ids) l order by 1
    loop
        perform pg_advisory_xact_lock(key);
        locked := locked + 1;
    end loop;
    return locked;
end
$$;

-- Gives slots to runs, in this order, until the end of the transaction, in which they have to become live. Answers null
-- for each run that has them, else what it has to wait for. A run that holds slots already keeps them; one whose process
-- waits may take what is kept for such runs. Volatile, so that each of its statements sees what others have committed.
create function take_flow_run_slots(run_ids uuid[], after_lock bigint) returns table (run_id uuid, waits_for text)
language plpgsql as $$
declare
    moment timestamptz;
    free jsonb;
    unkept jsonb;
    run record;
    place text;
begin
    perform lock_limits_of_flow_runs(run_ids);
    moment := clock_timestamp();
    select
        coalesce(jsonb_object_agg(l.limit_id, l.places - s.held), '{}'),
        coalesce(jsonb_object_agg(l.limit_id, l.places - s.held - s.reserved), '{}')
    into free, unkept
    from (
        select distinct on (i.limit_id) i.limit_id, i.flow_group_id, i.tenant_id, i.name, i.places
        from limits_of_flow_runs(run_ids) i
    ) l
    cross join lateral (
        select n.held, n.reserved from label_slots(l.tenant_id, l.name, moment) n where l.flow_group_id is null
        union all
        select n.held, n.reserved from flow_group_slots(l.flow_group_id, moment) n where l.flow_group_id is not null
    ) s;
    for run in
        select
            r.id, holds_slot(r.state, r.queue_time, moment) as holds,
            r.state = 'Queued' and r.queue_time > moment as waits,
            keeps_slot(r.state, r.queue_time, moment) as keeps, l.ids, l.names
        from unnest(run_ids) with ordinality i (id, n)
        join flow_run r on r.id = i.id
        cross join lateral (
            select
                array_agg(u.limit_id::text) as ids,
                jsonb_object_agg(
                    u.limit_id,
                    case when u.flow_group_id is null then 'label ' else 'flow ' end
                    || quote_literal(u.name) || ' (' || u.places || ')'
                ) as names
            from limits_of_flow_runs(array[r.id]) u
        ) l
        order by i.n
    loop
        run_id := run.id;
        waits_for := null;
        if not run.holds then
            select run.names ->> u.id
            into waits_for
            from unnest(run.ids) u (id)
            where (case when run.waits then free else unkept end ->> u.id)::integer <= 0
            order by 1
            limit 1;
            if waits_for is null then
                foreach place in array coalesce(run.ids, '{}'::text[]) loop
                    if free ? place then
                        free := jsonb_set(free, array[place], to_jsonb((free ->> place)::integer - 1));
                        if not run.keeps then
                            unkept := jsonb_set(unkept, array[place], to_jsonb((unkept ->> place)::integer - 1));
                        end if;
                    end if;
                end loop;
            end if;
        end if;
        return next;
    end loop;
end
$$;

-- Gives slots to task runs that are to become Running, as take_flow_run_slots: a slot of each of their tags. Their flow
-- runs run. What counts is a task run's own state, and whether its flow run still runs.
create function take_task_run_slots(task_run_ids uuid[], after_lock bigint)
returns table (task_run_id uuid, waits_for text)
language plpgsql as $$
declare
    key bigint;
    free jsonb;
    run record;
    place text;
begin
    for key in
        select distinct hashtextextended('limit ' || l.id::text, 0)
        from task_run t
        join task k on k.id = t.task_id
        join task_tag_limit l on l.tenant_id = t.tenant_id and k.tags ? l.tag
        where t.id = any (task_run_ids)
        order by 1
    loop
        perform pg_advisory_xact_lock(key);
    end loop;
    select
        coalesce(
            jsonb_object_agg(
                l.tag,
                l."limit" - (
                    select count(*)
                    from task_run_tag g
                    join task_run h on h.id = g.task_run_id and h.state = 'Running'
                    join flow_run r on r.id = h.flow_run_id and r.state in ('Running', 'Cancelling')
                    where g.tenant_id = l.tenant_id and g.tag = l.tag
                )
            ),
            '{}'
        )
    into free
    from task_tag_limit l
    where l.id in (
        select u.id
        from task_run t
        join task k on k.id = t.task_id
        join task_tag_limit u on u.tenant_id = t.tenant_id and k.tags ? u.tag
        where t.id = any (task_run_ids)
    );
    for run in
        select t.id, t.state = 'Running' as holds, l.tags, l.limits
        from unnest(task_run_ids) with ordinality i (id, n)
        join task_run t on t.id = i.id
        join task k on k.id = t.task_id
        cross join lateral (
            select array_agg(u.tag) as tags, jsonb_object_agg(u.tag, u."limit") as limits
            from task_tag_limit u
            where u.tenant_id = t.tenant_id and k.tags ? u.tag
        ) l
        order by i.n
    loop
        task_run_id := run.id;
        waits_for := null;
        if not run.holds then
            select 'tag ' || quote_literal(u.tag) || ' (' || (run.limits ->> u.tag) || ')'
            into waits_for
            from unnest(run.tags) u (tag)
            where (free ->> u.tag)::integer <= 0
            order by 1
            limit 1;
            if waits_for is null then
                foreach place in array coalesce(run.tags, '{}'::text[]) loop
                    if free ? place then
                        free := jsonb_set(free, array[place], to_jsonb((free ->> place)::integer - 1));
                    end if;
                end loop;
            end if;
        end if;
        return next;
    end loop;
end
$$;
