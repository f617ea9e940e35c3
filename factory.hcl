# One AWS account and region. Images are in images/, one folder each.

factory "example" {
  region       = "eu-central-1"
  state_bucket = "example-amifactory-state"
}

# Where and how builds run; every key, with its default, is in docs/configuration.md.
build {
  jobs    = 3
  timeout = "60m"

  # Distribution packages only, as always in the sandbox. What that leaves out is reported.
  # offline = true

  # subnet_id        = "subnet-0123456789abcdef0"
  # instance_profile = "ci-image-build"
  # registry_mirror  = "https://mirror.example.com"
  # tool_mirror      = "https://tools.example.com"
  #
  # registry "registry.example.com" {
  #   credentials = "ci/registry"
  # }
}
