-- name: ensure_default
insert into tenant (name, slug)
select 'default', 'default'
where not exists (select from tenant)
on conflict (slug) do nothing;

-- name: default_id
select id from tenant order by slug = 'default' desc, created, id limit 1;

-- name: create
insert into tenant (name, slug) values ($1, $2) returning id;

-- name: set_name
update tenant set name = $2 where id = $1;

-- name: set_slug
update tenant set slug = $2 where id = $1;

-- name: merge_settings
update tenant set settings = settings || $2::jsonb where id = $1;
