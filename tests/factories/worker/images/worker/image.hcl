description = "What a worker needs to run jobs, from packages: Docker, the AWS CLI, a pre-pulled image"

source_ami "debian-12" {
  owner        = "136693071363"
  name         = { x86_64 = "debian-12-amd64-*" }
  ssh_username = "admin"
}

prepull = ["alpine:3.20"]
