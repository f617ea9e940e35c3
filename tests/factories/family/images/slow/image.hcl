description = "Another family, on a source AMI found by another name, that takes its time"
source_ami "debian-12" {
  owner        = "136693071363"
  name         = { x86_64 = "debian-12-amd64-2*" }
  ssh_username = "admin"
}
