-- Which played artists miss most songs in the catalogue?
-- :top integer = 10   how many artists
SELECT
    artist_name,
    COUNT(*) AS plays,
    COUNT(*) - COUNT(song_id) AS plays_without_song,
    COUNT(DISTINCT CASE WHEN song_id IS NULL THEN title END) AS titles_missing,
    COUNT(DISTINCT song_id) AS songs_known
FROM songplays
WHERE artist_name IS NOT NULL
GROUP BY artist_name
HAVING COUNT(*) > COUNT(song_id)
ORDER BY plays_without_song DESC NULLS LAST, artist_name ASC NULLS LAST
LIMIT :top
