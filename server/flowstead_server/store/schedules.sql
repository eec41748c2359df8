-- Takes flows that are due for $3; meanwhile nobody else does. $1: now, null is the database's clock. $4: only these.
-- name: lease
with due as materialized (
    select s.flow_id
    from flow_schedule s
    join flow f on f.id = s.flow_id
    where s.due <= coalesce($1::timestamptz, now())
        and ($4::uuid[] is null or s.flow_id = any($4))
        and f.is_schedule_active and not f.archived
    order by s.due
    limit $2
    for no key update of s skip locked
)
update flow_schedule s
set due = coalesce($1, now()) + $3::interval, lease = gen_random_uuid()
from due
join flow f on f.id = due.flow_id
join flow_group g on g.id = f.flow_group_id
where s.flow_id = due.flow_id
returning
    s.flow_id, f.tenant_id, f.name, coalesce(g.schedule, f.schedule) as schedule, s.through, s.lease,
    coalesce($1, now()) as now;

-- Notes when to look at flows again, unless their schedule has changed meanwhile.
-- name: finish
update flow_schedule s
set due = i.due, through = i.through, lease = null
from jsonb_to_recordset($1::jsonb) as i (flow_id uuid, lease uuid, due timestamptz, through timestamptz)
where s.flow_id = i.flow_id and s.lease = i.lease;

-- The schedule of a flow was set or switched on. Whoever makes runs of the old one finds its lease gone.
-- name: begin
insert into flow_schedule (flow_id, due)
select id, now() from flow where tenant_id = $1 and id = $2 and is_schedule_active and not archived
on conflict (flow_id) do update set due = now(), through = null, lease = null;

-- name: begin_group
insert into flow_schedule (flow_id, due)
select id, now() from flow where tenant_id = $1 and flow_group_id = $2 and is_schedule_active and not archived
on conflict (flow_id) do update set due = now(), through = null, lease = null
returning flow_id;

-- name: end
delete from flow_schedule where flow_id = any($1::uuid[]);

-- Flows that are looked at right now are due when their lease ends.
-- name: oldest_due
select coalesce(extract(epoch from now() - min(s.due)), 0)::float8
from flow_schedule s
join flow f on f.id = s.flow_id
where s.due <= now() and f.is_schedule_active and not f.archived;
