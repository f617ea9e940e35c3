description = "What the others are built on"

source_ami "debian-12" {
  owner        = "136693071363"
  name         = { x86_64 = "debian-12-amd64-*" }
  ssh_username = "admin"
}
