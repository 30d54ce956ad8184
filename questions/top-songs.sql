-- Which songs were played most?
-- :days integer = 36500   only the last so many days, counted from the newest play
-- :top integer = 10   how many songs
SELECT
    title,
    artist_name,
    COUNT(*) AS plays,
    COUNT(DISTINCT user_id) AS listeners,
    CASE WHEN COUNT(song_id) > 0 THEN 'yes' ELSE 'no' END AS in_catalogue
FROM songplays
CROSS JOIN (SELECT MAX(start_time) AS newest FROM songplays) AS n
WHERE title IS NOT NULL AND start_time > newest - CAST(:days AS INTEGER) * INTERVAL '1 day'
GROUP BY title, artist_name
ORDER BY plays DESC NULLS LAST, title ASC NULLS LAST, artist_name ASC NULLS LAST
LIMIT :top
