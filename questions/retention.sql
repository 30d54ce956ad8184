-- Of the listeners who came in one week, how many played again so many weeks later?
-- :weeks integer = 12   how many weeks back from the newest play
WITH active AS (
    SELECT DISTINCT user_id, CAST(DATE_TRUNC('week', start_time) AS DATE) AS week
    FROM songplays
    WHERE user_id IS NOT NULL
),

joined AS (
    SELECT user_id, MIN(week) AS week FROM active GROUP BY user_id
)

SELECT j.week AS first_week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER) AS weeks_later, COUNT(*) AS listeners
FROM joined AS j
JOIN active AS a ON a.user_id = j.user_id
CROSS JOIN (SELECT MAX(week) AS week FROM active) AS l
WHERE l.week - j.week < CAST(:weeks AS INTEGER) * 7
GROUP BY j.week, CAST(FLOOR((a.week - j.week) / 7.0) AS INTEGER)
ORDER BY first_week ASC NULLS LAST, weeks_later ASC NULLS LAST
