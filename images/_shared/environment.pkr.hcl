# How provision scripts run, and what they are told. Maps become "key=value key=value": no key has a
# space or an equals sign in it, no value a space.

locals {
  staging     = "/tmp/amifactory"
  run_as_root = "sudo env {{ .Vars }} bash '{{ .Path }}'"

  environment = concat(
    [
      "LIB=${local.staging}/shared/provision/lib",
      "STAGING=${local.staging}",
      "IMAGE=${var.image_name}",
      "ARCHITECTURE=${var.architecture}",
      "OFFLINE=${var.offline}",
      "REGISTRY_MIRROR=${var.registry_mirror}",
      "TOOL_MIRROR=${var.tool_mirror}",
      "SECRETS=${var.secrets}",
      "DRAIN=${var.drain}",
      "AWS_DEFAULT_REGION=${var.region}",
      "CHECKSUMS=${join(" ", [for file, checksum in var.checksums : "${file}=${checksum}"])}",
      "PREPULL=${join(" ", [for reference, digest in var.prepull : "${reference}=${digest}"])}",
      "REGISTRY_SECRETS=${join(" ", [for host, secret in var.registry_secrets : "${host}=${secret}"])}",
    ],
    [for tool, version in var.tools : "TOOL_${upper(replace(tool, "-", "_"))}=${version}"],
  )
}
