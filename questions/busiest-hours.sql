-- At which hours of which weekday is most played? Hours are UTC, weekday 0 is Sunday.
-- :top integer = 10   how many hours
SELECT t.weekday, t.hour, COUNT(*) AS plays, COUNT(DISTINCT p.user_id) AS listeners
FROM songplays AS p
JOIN time AS t ON t.start_time = p.start_time
GROUP BY t.weekday, t.hour
ORDER BY plays DESC NULLS LAST, t.weekday ASC NULLS LAST, t.hour ASC NULLS LAST
LIMIT :top
