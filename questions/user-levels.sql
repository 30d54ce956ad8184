-- Which levels did a listener have over time?
-- :user integer = 0   the user_id; 0: the listener with the most plays
SELECT user_id, level, MIN(start_time) AS first_play, MAX(start_time) AS last_play, COUNT(*) AS plays
FROM (
    SELECT
        p.user_id,
        p.level,
        p.start_time,
        ROW_NUMBER() OVER (
            PARTITION BY p.user_id
            ORDER BY p.start_time ASC NULLS LAST, p.item_in_session ASC NULLS LAST, p.songplay_id ASC NULLS LAST
        )
        - ROW_NUMBER() OVER (
            PARTITION BY p.user_id, p.level
            ORDER BY p.start_time ASC NULLS LAST, p.item_in_session ASC NULLS LAST, p.songplay_id ASC NULLS LAST
        ) AS stretch
    FROM songplays AS p
    JOIN (
        SELECT user_id
        FROM songplays
        WHERE user_id IS NOT NULL AND (user_id = :user OR CAST(:user AS BIGINT) = 0)
        GROUP BY user_id
        ORDER BY COUNT(*) DESC NULLS LAST, user_id ASC NULLS LAST
        LIMIT 1
    ) AS w ON w.user_id = p.user_id
) AS s
GROUP BY user_id, level, stretch
ORDER BY first_play ASC NULLS LAST, level ASC NULLS LAST
