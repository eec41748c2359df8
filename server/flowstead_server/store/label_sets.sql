-- name: ensure
insert into label_set (tenant_id, labels) values ($1, $2::text[]) on conflict (tenant_id, labels) do nothing;

-- name: find
select id from label_set where tenant_id = $1 and labels = $2::text[];

-- The sets whose runs an agent with these labels may take.
-- name: matching
select id
from label_set
where tenant_id = $1
    and ((labels = '{}' and $2::text[] = '{}') or (labels[1] = any($2::text[]) and labels <@ $2::text[]));
