build {
  sources = ["source.amazon-ebs.worker"]

  provisioner "shell" {
    script          = "provision/install.sh"
    execute_command = "sudo bash '{{ .Path }}' && sudo clean-up"
  }
}
