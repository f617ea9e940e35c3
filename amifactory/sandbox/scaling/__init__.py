"""The sandbox's Auto Scaling: groups of real instances, kept at their desired capacity as AWS keeps them.

What differs from AWS, and is told nowhere else:
- there are no prices and no lack of capacity, so instance types are taken in the order of the overrides, or
  the smallest that has the attributes;
- nothing is rebalanced: neither over zones, nor when the shares of On-Demand and Spot change, nor on a Spot
  recommendation (CapacityRebalance is kept and does nothing);
- no events and no notifications are sent: hooks' targets are kept, instances look into their metadata;
- a group whose launches fail tries for ever, at most ten minutes apart (AWS may suspend it after a day).
"""
