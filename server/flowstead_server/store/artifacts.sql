-- name: create
insert into task_run_artifact (id, tenant_id, task_run_id, kind, data)
select coalesce($6, time_ordered_uuid()), t.tenant_id, t.id, $3::text, $4::jsonb
from task_run t
join flow_run r on r.id = t.flow_run_id
where t.tenant_id = $1 and t.id = $2 and ($5::uuid is null or r.claim_token = $5)
on conflict (id) do nothing
returning id;

-- name: is_of_task_run
select exists (select from task_run_artifact where tenant_id = $1 and task_run_id = $2 and id = $3);

-- name: update
update task_run_artifact a
set data = $3::jsonb
from task_run t
join flow_run r on r.id = t.flow_run_id
where a.tenant_id = $1 and a.id = $2 and t.id = a.task_run_id and ($4::uuid is null or r.claim_token = $4);

-- name: delete
delete from task_run_artifact a
using task_run t
join flow_run r on r.id = t.flow_run_id
where a.tenant_id = $1 and a.id = $2 and t.id = a.task_run_id and ($3::uuid is null or r.claim_token = $3);

-- name: flow_run_of
select t.flow_run_id
from task_run_artifact a
join task_run t on t.id = a.task_run_id
where a.tenant_id = $1 and a.id = $2;
