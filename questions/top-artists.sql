-- Which artists were played most?
-- :days integer = 36500   only the last so many days, counted from the newest play
-- :top integer = 10   how many artists
SELECT artist_name, COUNT(*) AS plays, COUNT(DISTINCT title) AS songs, COUNT(DISTINCT user_id) AS listeners
FROM songplays
CROSS JOIN (SELECT MAX(start_time) AS newest FROM songplays) AS n
WHERE artist_name IS NOT NULL AND start_time > newest - CAST(:days AS INTEGER) * INTERVAL '1 day'
GROUP BY artist_name
ORDER BY plays DESC NULLS LAST, artist_name ASC NULLS LAST
LIMIT :top
