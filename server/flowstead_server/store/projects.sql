-- name: create
insert into project (tenant_id, name, description) values ($1, $2, $3) returning id;
