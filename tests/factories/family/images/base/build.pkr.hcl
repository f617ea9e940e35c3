build {
  sources = ["source.amazon-ebs.worker"]

  provisioner "shell" {
    inline = ["mkdir -p ${local.staging}"]
  }

  provisioner "file" {
    sources     = ["shared", "hooks"]
    destination = "${local.staging}/"
  }

  provisioner "shell" {
    environment_vars = local.environment
    execute_command  = local.run_as_root
    scripts = [
      "provision/install.sh",
      "shared/provision/install-hooks.sh",
      "shared/provision/clean-up.sh",
    ]
  }
}
