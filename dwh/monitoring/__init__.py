"""What others learn of a run: status.json, a file for Prometheus, and the commands of [NOTIFY].

None of it changes how a run ends: what cannot be written or told is a note.

Other rooms use:

    runs  Ended, refuse_metrics, tell_others
"""
