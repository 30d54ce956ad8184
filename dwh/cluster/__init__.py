"""The Redshift warehouse in AWS: how it is created, found again and removed.

There is no state file: AWS is asked, and everything with the tag dwh-suite=<[CLUSTER] IDENTIFIER> is ours. Nothing else
is ever changed or removed. After a kill the normal start continues.

Marks such as [B] or [U] in comments name the source of a fact about AWS: docs/cloud-check.md explains them.

Other rooms use:

    account      Account, Declined
    lifecycle    Lifecycle
    whereabouts  own_address, own_seat
"""
