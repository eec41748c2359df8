-- name: create
insert into message (tenant_id, type, text, content) values ($1, $2, $3, $4::jsonb) returning id;

-- name: set_read
update message set read = $3 where tenant_id = $1 and id = $2;

-- name: delete
delete from message where tenant_id = $1 and id = $2;
