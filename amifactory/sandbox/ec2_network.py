"""The default VPC: moto's own address management, inside the network the instances really have."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import ec2_error

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from amifactory.sandbox.ec2_world import World

OTHER_REGIONS = 8
ZONES = 8


def region_range(world: World, account: str, region: str) -> IPv4Network:
    """Returns the addresses of one region: half the network for the main one, a sixteenth for others.

    All regions of a sandbox share one Docker network, so their instances' addresses must not meet.
    """
    main, rest = world.driver.subnet.subnets(prefixlen_diff=1)
    if region == world.settings.region and (account, region) not in world.networks:
        return main
    index = world.networks.setdefault((account, region), len(world.networks))
    if index >= OTHER_REGIONS:
        raise ec2_error("VpcLimitExceeded", f"The sandbox has room for {OTHER_REGIONS + 1} Regions at most.")
    return next(islice(rest.subnets(new_prefix=rest.prefixlen + 3), index, None))


class NetworkMixin:
    """Part of the EC2 backend: default VPC and subnets in the driver's network."""

    world: World

    def create_default_vpc(self: Any) -> Any:
        """Makes the default VPC with a subnet in every zone; the sandbox's own addresses stay free."""
        network: IPv4Network = self.world.driver.subnet
        addresses = region_range(self.world, self.account_id, self.region_name)
        vpc = self.create_vpc(cidr_block=str(network), is_default=True)
        zones = self.describe_availability_zones()[:ZONES]
        taken = [str(address) for address in islice(network, self.world.settings.reserved)]
        for zone, block in zip(zones, addresses.subnets(new_prefix=addresses.prefixlen + 3), strict=False):
            subnet = self.create_subnet(vpc.id, str(block), availability_zone=zone.name)
            for address in taken:
                subnet._subnet_ips.setdefault(address, None)  # noqa: SLF001 - moto has no public way
        return vpc

    def default_subnet_id(self: Any, zone: str | None) -> str:
        """Returns the default subnet of a zone, or of any."""
        subnets = self.get_default_subnets()
        if zone and zone not in subnets:
            raise ec2_error("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
        subnet = subnets[zone] if zone else next(iter(subnets.values()))
        return str(subnet.id)


def settle_addresses(instance: Any) -> None:
    """Makes the public address, where there is one, the private one: both then lead to the machine."""
    for nic in instance.nics.values():
        if nic.public_ip:
            nic.public_ip = nic.private_ip_address


def hold_addresses(instance: Any) -> None:
    """Keeps moto from handing out a terminating instance's address while its machine still has it."""
    for nic in instance.nics.values():
        nic.delete_on_termination = False


def release_addresses(instance: Any) -> None:
    """Gives a terminated instance's addresses back, now that its machine is gone."""
    for nic in list(instance.nics.values()):
        if nic.id in instance.ec2_backend.enis:
            nic.delete()
