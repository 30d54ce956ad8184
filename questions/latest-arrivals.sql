-- What arrived last night?
-- :loads integer = 1   the last so many loads
SELECT f.load_id, f.loaded_at, f.kind, f.path, f.status, f.records_read, f.staged, f.rejected
FROM loaded_files AS f
CROSS JOIN (SELECT MAX(load_id) AS newest FROM loads WHERE action = 'load') AS n
WHERE f.load_id > newest - CAST(:loads AS BIGINT)
ORDER BY f.load_id DESC, f.kind ASC NULLS LAST, f.path ASC NULLS LAST
