"""The statements by which a load asks what it has to do, counts what it did, and writes the ledger.

None of them decides what is in the star: those are in sql_queries.py.
"""

from __future__ import annotations

import sql_queries as q

# ----------------------------------------------------------------------------------------------------------- the ledger

SELECT_NEXT_FILE_ID = "SELECT COALESCE(MAX(file_id), 0) + 1 FROM loaded_files"

SELECT_NEWEST_PLAY = "SELECT max(start_time) FROM songplays"

COUNT_REJECTED_FILES = "SELECT COUNT(*) FROM loaded_files WHERE status = 'rejected'"

INSERT_LOAD = """
INSERT INTO loads (load_id, run_id, action, loaded_at, seconds, files, records, statements_sha256)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

# The days of the plays that this load touched, as they were before it and as they are now. The times of other plays in
# present_times are among those before. A load that touched no play has one row, without a day: so a load without a row
# is one whose days are not known.
RECORD_TOUCHED_DAYS = """
INSERT INTO touched_days (load_id, day)
SELECT l.load_id, t.day
FROM loads AS l
LEFT JOIN (
    SELECT CAST(%s AS BIGINT) AS load_id, CAST(start_time AS DATE) AS day FROM touched_times
    UNION
    SELECT CAST(%s AS BIGINT) AS load_id, CAST(start_time AS DATE) AS day FROM present_times
) AS t ON t.load_id = l.load_id
WHERE l.load_id = %s
"""

# Of a rebuild they are not known: it empties the star first. Those of the loads before are of no use after it.
REMOVE_TOUCHED_DAYS = "DELETE FROM touched_days"

_STAGED = """
    SELECT file_id, COUNT(*) AS staged
    FROM staging_events
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
    UNION ALL
    SELECT file_id, COUNT(*) AS staged
    FROM staging_songs
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
"""

RECORD_FILES = """
INSERT INTO loaded_files (file_id, kind, path, fingerprint, records_read, staged, rejected, status, load_id, loaded_at)
SELECT
    f.file_id, f.kind, f.path, f.fingerprint, f.records_read, COALESCE(s.staged, 0), COALESCE(r.rejected, 0), f.status,
    CAST(%s AS BIGINT), CAST(%s AS TIMESTAMP)
FROM incoming_files AS f
LEFT JOIN (STAGED) AS s ON s.file_id = f.file_id
LEFT JOIN (
    SELECT file_id, COUNT(*) AS rejected
    FROM rejected_lines
    WHERE file_id IN (SELECT file_id FROM incoming_files)
    GROUP BY file_id
) AS r ON r.file_id = f.file_id
""".replace("STAGED", _STAGED)

# ------------------------------------------------------------------------------------- what came, and what of it is bad

# The first refused record of each kind, songs before events.
SELECT_FIRST_REFUSED = """
SELECT kind, path, line_number, reason, record
FROM (
    SELECT
        f.kind,
        f.path,
        r.line_number,
        r.reason,
        r.record,
        ROW_NUMBER() OVER (
            PARTITION BY f.kind
            ORDER BY f.path ASC, r.record_number ASC NULLS LAST
        ) AS choice
    FROM (
        SELECT file_id, record_number, line_number, reason, record FROM refused_songs
        UNION ALL
        SELECT file_id, record_number, line_number, reason, record FROM refused_events
    ) AS r
    JOIN incoming_files AS f ON f.file_id = r.file_id
) AS ranked
WHERE choice = 1
ORDER BY kind DESC NULLS LAST
"""

# Of each kind of this load: files, records, and how many of both are refused.
COUNT_REFUSED = """
SELECT
    f.kind,
    COUNT(*),
    CAST(SUM(f.records_read) AS BIGINT),
    COUNT(r.refused),
    CAST(COALESCE(SUM(r.refused), 0) AS BIGINT)
FROM incoming_files AS f
LEFT JOIN (
    SELECT file_id, COUNT(*) AS refused
    FROM (
        SELECT file_id FROM refused_songs
        UNION ALL
        SELECT file_id FROM refused_events
    ) AS u
    GROUP BY file_id
) AS r ON r.file_id = f.file_id
GROUP BY f.kind
"""

SELECT_LOADED_KINDS = "SELECT DISTINCT kind FROM loaded_files WHERE staged > 0"

# A refused record without a number: its file has to be read again, record by record, to say which one it is.
SELECT_FILES_TO_READ_AGAIN = """
SELECT DISTINCT file_id
FROM (
    SELECT file_id FROM refused_songs WHERE record_number IS NULL
    UNION ALL
    SELECT file_id FROM refused_events WHERE record_number IS NULL
) AS r
"""

# Files of which the engine loaded another number of records than were counted on the way in.
SELECT_MISCOUNTED_FILES = """
SELECT f.file_id, f.path, f.records_read, COALESCE(i.loaded, 0)
FROM incoming_files AS f
LEFT JOIN (
    SELECT file_id, COUNT(*) AS loaded FROM incoming_events GROUP BY file_id
    UNION ALL
    SELECT file_id, COUNT(*) AS loaded FROM incoming_songs GROUP BY file_id
) AS i ON i.file_id = f.file_id
WHERE f.records_read <> COALESCE(i.loaded, 0)
ORDER BY f.path ASC
"""

# The records of one file that no spool has counted, because the engine reads it by itself.
COUNT_INCOMING = {
    "songs": "SELECT COUNT(*) FROM incoming_songs WHERE file_id = %s",
    "events": "SELECT COUNT(*) FROM incoming_events WHERE file_id = %s",
}

# Files of which not every record that was read is staged.
SELECT_UNSTAGED_FILES = """
SELECT f.path
FROM incoming_files AS f
LEFT JOIN (STAGED) AS s ON s.file_id = f.file_id
WHERE f.records_read <> COALESCE(s.staged, 0)
""".replace("STAGED", _STAGED)

# Records of touched plays that are no row of songplays. Nearly always there is none, and nothing more to ask.
COUNT_LEFT_OUT = """
SELECT r.records - p.plays
FROM (SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT) AS records FROM rival_plays WHERE records > 1) AS r
CROSS JOIN (
    SELECT COUNT(*) AS plays
    FROM songplays AS e
    WHERE EXISTS (
        SELECT 1
        FROM rival_plays AS r
        WHERE r.session_id = e.session_id AND r.item_in_session = e.item_in_session AND r.records > 1
    )
) AS p
"""

# Of several records under one key only one is the play. One that says the same is the same play again; one that says
# something else is another play, which the key cannot tell apart (itemInSession always 0, say).
TOLD_PLAYS = """
SELECT
    SONGPLAY_ID AS songplay_id,
    e.file_id,
    e.session_id,
    e.item_in_session,
    NULLIF(TRIM(BOTH ' ' FROM e.song), '') AS title,
    NULLIF(TRIM(BOTH ' ' FROM e.artist), '') AS artist_name,
    e.length AS duration,
    NULLIF(TRIM(BOTH ' ' FROM e.level), '') AS level,
    NULLIF(TRIM(BOTH ' ' FROM e.location), '') AS location,
    NULLIF(TRIM(BOTH ' ' FROM e.user_agent), '') AS user_agent
FROM staging_events AS e
WHERE TRIM(BOTH ' ' FROM e.page) = 'NextSong' AND CHOICE
""".replace("SONGPLAY_ID", q.SONGPLAY_ID.strip())

# The other plays under a key that is taken which the touched files brought; those that were known without them do not
# count, so that the numbers of several loads can be added up.
COUNT_OTHER_PLAYS = """
SELECT CAST(COALESCE(SUM(plays - 1 - CASE WHEN known > 1 THEN known - 1 ELSE 0 END), 0) AS BIGINT)
FROM (
    SELECT songplay_id, COUNT(*) AS plays, SUM(known) AS known
    FROM (
        SELECT r.songplay_id, MAX(CASE WHEN t.file_id IS NULL THEN 1 ELSE 0 END) AS known
        FROM (TOLD_PLAYS) AS r
        LEFT JOIN touched_files AS t ON t.file_id = r.file_id
        GROUP BY r.songplay_id, r.title, r.artist_name, r.duration, r.level, r.location, r.user_agent
    ) AS c
    GROUP BY songplay_id
) AS p
""".replace("TOLD_PLAYS", TOLD_PLAYS.replace("CHOICE", q.IS_RIVAL))
