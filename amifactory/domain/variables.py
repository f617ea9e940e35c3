"""The Packer variables amifactory passes to every build, one name per template variable."""

from __future__ import annotations

RECIPE_VARIABLES = (
    "image_name",
    "architecture",
    "ssh_username",
    "offline",
    "tools",
    "checksums",
    "prepull",
    "volume_size",
    "encrypt",
    "kms_key_id",
    "registry_mirror",
    "tool_mirror",
    "registry_secrets",
    "secrets",
    "drain",
)
"""Decide a build's content, so they are hashed into its fingerprint."""

BUILD_VARIABLES = (
    "region",
    "ec2_endpoint",
    "source_ami",
    "root_device",
    "ami_name",
    "instance_type",
    "instance_profile",
    "subnet_id",
    "security_group_ids",
    "associate_public_ip",
    "ssh_interface",
    "ssh_timeout",
    "polling_seconds",
    "tags",
    "run_tags",
)
"""Say where and how to build; a build does not become stale when they change."""

PASSED_VARIABLES = RECIPE_VARIABLES + BUILD_VARIABLES
"""All of them: what a template has to declare."""
