-- name: lane
select queue_lane($1, $2::text[], $3::uuid, $4::smallint);

-- The sets whose runs an agent with these labels may take.
-- name: matching
select id
from label_set
where tenant_id = $1
    and ((labels = '{}' and $2::text[] = '{}') or (labels[1] = any($2::text[]) and labels <@ $2::text[]));
