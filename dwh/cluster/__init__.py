"""The Redshift warehouse in AWS: what is made for it, how it is found again, and how it goes.

There is no state file: AWS is asked, and what carries the tag dwh-suite=<[CLUSTER] IDENTIFIER> is ours. Nothing else is
ever changed or removed. Starting after a kill is the normal start.

Marks such as [B] or [U] in comments say where a fact about AWS comes from: docs/cloud-check.md explains them.

Other rooms use:

    account    Account
    lifecycle  Lifecycle
    network    own_address
    watching   GOING, UP
"""
