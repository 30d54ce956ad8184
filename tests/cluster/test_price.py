"""What a warehouse would cost: a figure with its day and its page, or the word that it is not known."""

from __future__ import annotations

import pytest

from cluster.conftest import Rig
from dwh.cluster import price
from dwh.cluster.price import PAGE, PUBLISHED, price_line


def priced(rig: Rig, **cluster: object) -> str:
    """Give the line of the price of a dry run."""
    rig.configure(CLUSTER=cluster)
    [line] = [change for change in rig.call("conn_start", "--dry-run", "--json").json["changes"] if "price:" in change]
    return str(line)


def test_p206_a_dry_run_shows_the_price_of_what_is_configured(rig: Rig) -> None:
    """Nodes by their type and number, in USD an hour, with the day and the page of the list."""
    assert "1 x ra3.large at USD 0.543 = USD 0.54 an hour" in priced(rig)
    assert "3 x ra3.4xlarge at USD 3.26 = USD 9.78 an hour" in priced(rig, NODE_TYPE="ra3.4xlarge", NUM_NODES=3)
    assert f"of {PUBLISHED}" in priced(rig)
    assert PAGE in priced(rig)
    assert rig.cloud.changes() == []


def test_p206_the_price_of_a_cluster_that_is_there_is_its_own(rig: Rig) -> None:
    """Not that of other settings: nothing resizes it. Only a dry run speaks of the price."""
    assert "price:" not in rig.call("conn_start").out
    assert "1 x ra3.large" in priced(rig, NODE_TYPE="rg.xlarge", NUM_NODES=4)


@pytest.mark.parametrize(("node_type", "region"), [("zz.large", "us-west-2"), ("ra3.large", "mars-west-1")])
def test_p206_a_price_that_is_not_in_the_table_is_not_guessed(node_type: str, region: str) -> None:
    """Type, region and page are named, and there is no figure."""
    line = price_line("provisioned", node_type, 2, region)
    assert line == f"price: not known here for 2 x {node_type} in {region}; see {PAGE}"


def test_p206_serverless_is_priced_by_its_rpus() -> None:
    """Per hour in which a statement runs; a region without a figure is named as such."""
    assert "4 RPU at USD 0.36 = USD 1.44 an hour while a statement runs" in price_line("serverless", "", 4, "us-west-2")
    assert "not known here for 8 RPU in eu-west-1" in price_line("serverless", "ra3.large", 8, "eu-west-1")


def test_every_row_of_the_table_has_a_price_for_every_region() -> None:
    """A figure too many or too few would shift all regions after it. Three of the regions always cost the same [G]."""
    assert {len(prices) for prices in price._NODE_HOURS.values()} == {len(price._REGIONS)}
    for prices in price._NODE_HOURS.values():
        assert prices[0] == prices[1] == prices[3] == min(prices)
