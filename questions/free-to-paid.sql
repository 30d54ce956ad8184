-- Who changed from free to paid, or back, and when?
-- A change is seen at the first play with another level than the play before.
-- :days integer = 36500   only the last so many days, counted from the newest play
SELECT start_time AS seen_at, p.user_id, first_name, last_name, level_before, p.level
FROM (
    SELECT
        user_id,
        start_time,
        level,
        LAG(level) OVER (
            PARTITION BY user_id
            ORDER BY start_time ASC NULLS LAST, item_in_session ASC NULLS LAST, songplay_id ASC NULLS LAST
        ) AS level_before
    FROM songplays
    WHERE user_id IS NOT NULL AND level IN ('free', 'paid')
) AS p
JOIN users AS u ON u.user_id = p.user_id
CROSS JOIN (SELECT MAX(start_time) AS newest FROM songplays) AS n
WHERE p.level <> level_before AND start_time > newest - CAST(:days AS INTEGER) * INTERVAL '1 day'
ORDER BY start_time ASC NULLS LAST, p.user_id ASC NULLS LAST
