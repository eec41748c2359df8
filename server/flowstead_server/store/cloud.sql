-- name: set_key_value
insert into key_value (tenant_id, key, value) values ($1, $2, $3::jsonb)
on conflict (tenant_id, key) do update set value = excluded.value
returning id;

-- name: delete_key_value
delete from key_value where tenant_id = $1 and id = $2;

-- name: set_secret
insert into secret (tenant_id, name, value) values ($1, $2, $3::jsonb)
on conflict (tenant_id, name) do update set value = excluded.value;

-- name: secret_value
select value from secret where tenant_id = $1 and name = $2;

-- name: secret_names
select name from secret where tenant_id = $1 order by name;

-- name: set_task_tag_limit
insert into task_tag_limit (tenant_id, tag, "limit") values ($1, $2, $3)
on conflict (tenant_id, tag) do update set "limit" = excluded."limit"
returning id;

-- name: delete_task_tag_limit
delete from task_tag_limit where tenant_id = $1 and id = $2;

-- name: set_flow_concurrency_limit
insert into flow_concurrency_limit (tenant_id, name, "limit") values ($1, $2, $3)
on conflict (tenant_id, name) do update set "limit" = excluded."limit"
returning id;

-- name: delete_flow_concurrency_limit
delete from flow_concurrency_limit where tenant_id = $1 and id = $2;

-- name: create_api_key
insert into auth_api_key (tenant_id, user_id, name, expires_at, key_hash) values ($1, $2, $3, $4, $5)
on conflict (key_hash) do update set key_hash = excluded.key_hash
where auth_api_key.tenant_id = excluded.tenant_id and auth_api_key.name = excluded.name
returning id;

-- name: delete_api_key
delete from auth_api_key where tenant_id = $1 and id = $2;
