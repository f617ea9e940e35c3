build {
  sources = ["source.amazon-ebs.worker"]

  provisioner "shell" {
    inline = ["mkdir -p ${local.staging}"]
  }

  provisioner "file" {
    sources     = ["shared", "hooks", "rootfs"]
    destination = "${local.staging}/"
  }

  provisioner "shell" {
    environment_vars = local.environment
    execute_command  = local.run_as_root
    scripts = [
      "shared/provision/prepare.sh",
      "shared/provision/install-rootfs.sh",
      "provision/install-command-line-tools.sh",
      "provision/install-time-sync.sh",
      "provision/install-docker.sh",
      "provision/create-gitlab-runner-user.sh",
      "provision/install-aws-cli.sh",
      "provision/install-ecr-credential-helper.sh",
      "provision/install-gitlab-runner.sh",
      "provision/install-ssm-agent.sh",
      "provision/install-ec2-instance-connect.sh",
      "provision/disable-background-updates.sh",
      "shared/provision/install-hooks.sh",
      "shared/provision/pull-images.sh",
      "shared/provision/clean-up.sh",
    ]
  }
}
