description = "Docker worker: what every CI job needs, and the parent of the other images"

# The first block is the default; `os = "ubuntu-2404"` chooses another.
source_ami "debian-12" {
  owner        = "136693071363" # Debian
  name         = { x86_64 = "debian-12-amd64-*", arm64 = "debian-12-arm64-*" }
  ssh_username = "admin"
}

source_ami "ubuntu-2404" {
  owner = "099720109477" # Canonical
  name = {
    x86_64 = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
    arm64  = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"
  }
  ssh_username = "ubuntu"
}

source_ami "ubuntu-2204" {
  owner = "099720109477" # Canonical
  name = {
    x86_64 = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"
    arm64  = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-*"
  }
  ssh_username = "ubuntu"
}

source_ami "amazon-linux-2023" {
  owner        = "137112412989" # Amazon
  name         = { x86_64 = "al2023-ami-2023.*-x86_64", arm64 = "al2023-ami-2023.*-arm64" }
  ssh_username = "ec2-user"
}

architectures = ["x86_64"]
instance_type = { x86_64 = "t3.large", arm64 = "t4g.large" }

tools = {
  awscli        = "2.23.6" # where the distribution has none: Ubuntu 24.04
  gitlab-runner = "19.0.1" # jobs on the instance itself use it for artifacts and caches
}

# To compare: https://gitlab-runner-downloads.s3.amazonaws.com/v19.0.1/release.sha256; AWS publishes none
checksums = {
  "awscli-exe-linux-x86_64-2.23.6.zip"  = "8d26ffa2e9427804a9f8928c692ee83e1c88456e0519a69e63bc992caf2b2339"
  "awscli-exe-linux-aarch64-2.23.6.zip" = "9c2b05dfc370cc99ec47ad374be52b828cd77d14702b2edae071d73224aacd6e"
  "gitlab-runner-19.0.1-linux-amd64"    = "972a2bebaf940a767ac022bfebbc9df077388a85fbf1b6cf3d19eb981d5a92b6"
  "gitlab-runner-19.0.1-linux-arm64"    = "fd2d07bf3ee40b495cf0affa46257407dbba9c18e46d6a91001dee938d8b10ac"
}

prepull = [
  "alpine:3.20",
  "docker:27-cli",
]

max_age = "7d"

verify {
  boot_timeout = "5m"
  timeout      = "15m"
}
