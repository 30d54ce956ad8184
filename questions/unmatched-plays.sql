-- Which plays find no song in the catalogue, and why?
-- Spellings that differ by case or accents are told apart by: python sql_validate.py -v
-- :top integer = 10   how many songs
SELECT
    p.title,
    p.artist_name,
    p.plays,
    CASE
        WHEN p.title IS NULL OR p.artist_name IS NULL THEN 'the event names no title or no artist'
        WHEN t.title IS NOT NULL AND a.artist_name IS NOT NULL THEN 'title and artist are known, not together'
        WHEN t.title IS NOT NULL THEN 'no such artist'
        WHEN a.artist_name IS NOT NULL THEN 'no such title'
        ELSE 'no such title and no such artist'
    END AS reason
FROM (
    SELECT title, artist_name, COUNT(*) AS plays
    FROM songplays
    WHERE song_id IS NULL
    GROUP BY title, artist_name
) AS p
LEFT JOIN (SELECT DISTINCT title FROM songs) AS t ON t.title = p.title
LEFT JOIN (SELECT DISTINCT artist_name FROM songs) AS a ON a.artist_name = p.artist_name
ORDER BY p.plays DESC NULLS LAST, p.title ASC NULLS LAST, p.artist_name ASC NULLS LAST
LIMIT :top
