# The instance that builds, and the AMI it becomes.
#
# Packer 1.6 knows neither `metadata_options` nor `imds_support`, so the build instance follows the
# account's default; set that to IMDSv2: aws ec2 modify-instance-metadata-defaults --http-tokens required

locals {
  is_elsewhere = var.ec2_endpoint != ""
}

source "amazon-ebs" "worker" {
  region                     = var.region
  custom_endpoint_ec2        = local.is_elsewhere ? var.ec2_endpoint : null
  skip_region_validation     = local.is_elsewhere
  skip_metadata_api_check    = local.is_elsewhere
  skip_credential_validation = local.is_elsewhere
  skip_profile_validation    = local.is_elsewhere

  source_ami                  = var.source_ami
  instance_type               = var.instance_type
  iam_instance_profile        = var.instance_profile != "" ? var.instance_profile : null
  subnet_id                   = var.subnet_id != "" ? var.subnet_id : null
  security_group_ids          = length(var.security_group_ids) > 0 ? var.security_group_ids : null
  associate_public_ip_address = var.associate_public_ip
  shutdown_behavior           = "terminate"
  user_data                   = "#!/bin/sh\n# amifactory: this instance becomes an AMI\n"

  ssh_username  = var.ssh_username
  ssh_interface = var.ssh_interface
  ssh_timeout   = var.ssh_timeout

  ami_name        = var.ami_name
  ami_description = "${var.image_name} for ${var.architecture}, built by amifactory"
  ena_support     = true
  encrypt_boot    = var.encrypt ? true : null
  kms_key_id      = var.kms_key_id != "" ? var.kms_key_id : null

  # gp3's own baseline; Packer 1.6 wants both numbers said.
  launch_block_device_mappings {
    device_name           = var.root_device
    volume_type           = "gp3"
    volume_size           = var.volume_size
    iops                  = 3000
    throughput            = 125
    delete_on_termination = true
  }

  # An hour for the slowest step, the snapshot, however often it is looked at.
  aws_polling {
    delay_seconds = var.polling_seconds
    max_attempts  = ceil(3600 / var.polling_seconds)
  }

  # The verdict comes later and is written to the AMI alone.
  tags            = var.tags
  snapshot_tags   = { for key, value in var.tags : key => value if key != "amifactory:verdict" }
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}
