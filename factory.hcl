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

# Releases go from one channel to the next: staging takes the newest verified builds, production what staging runs.
channel "staging" {}

channel "production" {
  # soak     = "24h"
  # approval = "approve-change"
}

# Each fleet is a worker Auto Scaling group that exists already, with its launch template. In the sandbox it is made on
# first use, as its `sandbox` block says. The four of production show the kinds of groups there are.

# Starts a numbered version of its launch template, which AWS's own rollback needs.
fleet "node" {
  image    = "node"
  group    = "ci-node"
  channel  = "production"
  rollout  = "refresh"
  canary   = true
  deadline = "90s" # short: workers of the sandbox start in seconds

  refresh {
    min_healthy = "100%"
    max_healthy = "200%"
  }

  health {
    workers = 2
    for     = "10s"
  }

  sandbox {
    workers = 2
  }
}

# Starts the default version of its launch template.
fleet "java" {
  image   = "java"
  group   = "ci-java"
  channel = "production"
  rollout = "refresh"

  sandbox {
    version = "$Default"
    workers = 1
  }
}

# Spot instances of any type that fits; none while there are no jobs.
fleet "infra-tools" {
  image   = "infra-tools"
  group   = "ci-infra-tools"
  channel = "production"
  rollout = "refresh"

  sandbox {
    attributes = true
  }
}

# Registers its own runners; a lifecycle hook lets a job end before its worker is terminated.
fleet "docker" {
  image   = "base-docker"
  group   = "ci-docker"
  channel = "production"
  rollout = "passive"

  sandbox {
    workers          = 1
    termination_hook = "drain"
  }
}

fleet "node-staging" {
  image   = "node"
  group   = "ci-staging-node"
  channel = "staging"
  rollout = "refresh"

  sandbox {
    workers = 1
  }
}

fleet "java-staging" {
  image   = "java"
  group   = "ci-staging-java"
  channel = "staging"
}

fleet "infra-tools-staging" {
  image   = "infra-tools"
  group   = "ci-staging-infra-tools"
  channel = "staging"
}

fleet "docker-staging" {
  image   = "base-docker"
  group   = "ci-staging-docker"
  channel = "staging"
}
