-- name: create
insert into project (tenant_id, name, description) values ($1, $2, $3) returning id;

-- name: set_name
update project set name = $3 where tenant_id = $1 and id = $2;

-- name: set_retention
update project set retention = $3::jsonb where tenant_id = $1 and id = $2;

-- name: retention
select retention from project where tenant_id = $1 and id = $2;

-- name: set_description
update project set description = $3 where tenant_id = $1 and id = $2;
