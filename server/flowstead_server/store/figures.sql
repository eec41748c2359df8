-- Runs whose process is alive also have a queue time, for tasks of theirs that wait; they are not in the queue.
-- name: queue
select waiting.*, flying.*
from (
    select
        count(*) as waiting,
        count(*) filter (where r.queue_time <= now()) as due,
        coalesce(extract(epoch from now() - min(r.queue_time) filter (where r.queue_time <= now())), 0)::float8 as oldest_due
    from flow_run r
    where r.queue_time is not null and is_scheduled_state(r.state)
) waiting,
(
    select
        count(*) filter (where r.state = 'Submitted') as submitted,
        count(*) filter (where r.state = 'Running') as running
    from tenant t
    join flow_run r on r.tenant_id = t.id and r.state in ('Submitted', 'Running')
    where r.state <> 'Success'
) flying;
