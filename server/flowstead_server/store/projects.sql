-- name: create
insert into project (tenant_id, name, description) values ($1, $2, $3) returning id;

-- name: set_name
update project set name = $3 where tenant_id = $1 and id = $2;

-- name: set_description
update project set description = $3 where tenant_id = $1 and id = $2;
