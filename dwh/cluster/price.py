"""What a warehouse costs: list prices of one day, in a table. What is not in the table is said, never guessed."""

from __future__ import annotations

PAGE = "https://aws.amazon.com/redshift/pricing/"
# The day on which AWS published its list (offers/v1.0/aws/AmazonRedshift/current/REGION/index.json, terms OnDemand).
# The figures are those that BenchBox 0.4.2 keeps of it with their source; rg.xlarge and ra3.4xlarge of us-east-1 stand
# alike in a public laboratory's list of 2026-10-05 [G]. Nobody here has read AWS's list itself [U].
PUBLISHED = "2026-09-11"
_REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-central-1", "ap-southeast-1",
    "ap-southeast-2", "ap-northeast-1", "sa-east-1",
)  # fmt: skip
# USD for a node and an hour, on demand, in these regions.
_NODE_HOURS = {
    "ra3.large": (0.543, 0.543, 0.601, 0.543, 0.601, 0.632, 0.649, 0.652, 0.652, 0.639, 0.866),
    "ra3.xlplus": (1.086, 1.086, 1.202, 1.086, 1.202, 1.264, 1.298, 1.303, 1.303, 1.278, 1.731),
    "ra3.4xlarge": (3.26, 3.26, 3.606, 3.26, 3.606, 3.793, 3.894, 3.909, 3.909, 3.836, 5.195),
    "ra3.16xlarge": (13.04, 13.04, 14.424, 13.04, 14.424, 15.174, 15.578, 15.636, 15.636, 15.347, 20.78),
    "rg.large": (0.3801, 0.3801, 0.4207, 0.3801, 0.4207, 0.4424, 0.4543, 0.4564, 0.4564, 0.4473, 0.6062),
    "rg.xlarge": (0.7602, 0.7602, 0.8414, 0.7602, 0.8414, 0.8848, 0.9086, 0.9121, 0.9121, 0.8946, 1.2117),
    "rg.4xlarge": (3.0427, 3.0427, 3.3656, 3.0427, 3.3656, 3.5401, 3.6344, 3.6484, 3.6484, 3.5803, 4.8487),
    "rg.12xlarge": (9.128, 9.128, 10.0968, 9.128, 10.0968, 10.6218, 10.9046, 10.9452, 10.9452, 10.7429, 14.546),
}
# USD for an RPU and an hour of Serverless [G: the list as public projects quote it, 2026-10-05 and 2026-09-11].
_RPU_HOURS = {"us-east-1": 0.375, "us-west-2": 0.36}


def price_line(kind: str, node_type: str, number: int, region: str) -> str:
    """Say in one line what a warehouse costs in an hour, in USD, with the day and the page of the price.

    `kind` is provisioned or serverless. `number` counts nodes of `node_type`, or RPUs, of which `node_type` says
    nothing. A region or a node type that is not in the table is named as unknown.
    """
    serverless = kind == "serverless"
    named = f"{number} RPU" if serverless else f"{number} x {node_type}"
    each = _RPU_HOURS.get(region) if serverless else _node_hour(node_type, region)
    if each is None:
        return f"price: not known here for {named} in {region}; see {PAGE}"
    while_ = "an hour while a statement runs" if serverless else "an hour until conn_close.py"
    return (
        f"price: {named} at USD {each:g} = USD {number * each:,.2f} {while_}, storage and tax apart "
        f"(AWS's list for {region} of {PUBLISHED}, may have changed; {PAGE})"
    )


def _node_hour(node_type: str, region: str) -> float | None:
    prices = _NODE_HOURS.get(node_type)
    return prices[_REGIONS.index(region)] if prices and region in _REGIONS else None
