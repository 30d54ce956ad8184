-- Which were the longest sessions, and how long were they?
-- Minutes are those of the songs that were played.
-- :days integer = 36500   only the last so many days, counted from the newest play
-- :top integer = 10   how many sessions
SELECT
    session_id,
    user_id,
    MIN(start_time) AS first_play,
    MAX(start_time) AS last_play,
    COUNT(*) AS plays,
    CAST(FLOOR(SUM(CAST(ROUND(duration * 1000) AS BIGINT)) / 60000.0) AS BIGINT) AS minutes
FROM songplays
CROSS JOIN (SELECT MAX(start_time) AS newest FROM songplays) AS n
WHERE start_time > newest - CAST(:days AS INTEGER) * INTERVAL '1 day'
GROUP BY session_id, user_id
ORDER BY minutes DESC NULLS LAST, session_id ASC NULLS LAST, user_id ASC NULLS LAST
LIMIT :top
