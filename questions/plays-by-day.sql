-- How many plays were there each day, on which level, by how many listeners?
-- :days integer = 30   the last so many days, counted from the newest play
SELECT
    CAST(start_time AS DATE) AS day,
    COUNT(*) AS plays,
    CAST(SUM(CASE WHEN level = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS paid,
    CAST(SUM(CASE WHEN level = 'free' THEN 1 ELSE 0 END) AS BIGINT) AS free,
    COUNT(DISTINCT user_id) AS listeners
FROM songplays
CROSS JOIN (SELECT MAX(start_time) AS newest FROM songplays) AS n
WHERE CAST(start_time AS DATE) > CAST(newest AS DATE) - CAST(:days AS INTEGER)
GROUP BY CAST(start_time AS DATE)
ORDER BY day ASC NULLS LAST
