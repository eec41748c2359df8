-- name: ensure_default
insert into tenant (name, slug)
select 'default', 'default'
where not exists (select from tenant)
on conflict (slug) do nothing;

-- name: default_id
select id from tenant order by slug = 'default' desc, created, id limit 1;

-- name: create
insert into tenant (name, slug) values ($1, $2) returning id;
