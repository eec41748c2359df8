-- One agent per identity: whoever registers the same one at the same time waits here.
-- name: lock_identity
select pg_advisory_xact_lock(hashtextextended($1::text, 1));

-- A null name or core version asks for any.
-- name: find
select id
from agent
where tenant_id = $1
    and type = $2
    and ($3::text is null or name = $3)
    and ($4::text is null or core_version = $4)
    and labels = $5::jsonb
order by created, id
limit 1;

-- A configuration of another tenant is as unknown as one that does not exist.
-- name: create
insert into agent (tenant_id, type, name, core_version, labels, agent_config_id)
select $1, $2, $3, $4, $5::jsonb, $6::uuid
where $6 is null or exists (select from agent_config c where c.tenant_id = $1 and c.id = $6)
returning id;

-- name: touch
update agent set last_queried = now() where tenant_id = $1 and id = $2;

-- name: delete
delete from agent where tenant_id = $1 and id = $2;

-- name: create_config
insert into agent_config (tenant_id, name, settings) values ($1, $2, $3::jsonb) returning id;

-- Null members stay as they are.
-- name: update_config
update agent_config
set name = coalesce($3::text, name), settings = coalesce($4::jsonb, settings)
where tenant_id = $1 and id = $2;

-- name: delete_config
delete from agent_config where tenant_id = $1 and id = $2;
