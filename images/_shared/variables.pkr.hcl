# Every variable amifactory passes. The first group, down to kms_key_id, decides what the AMI is and is part
# of the fingerprint; the second says where and how to build. An empty string or list means "not set".

variable "image_name" {
  type        = string
  description = "Name of the image's folder."
}

variable "architecture" {
  type        = string
  description = "x86_64 or arm64."
}

variable "ssh_username" {
  type        = string
  description = "The source AMI's default user: admin (Debian), ubuntu, ec2-user (Amazon Linux)."
}

variable "offline" {
  type        = bool
  default     = false
  description = "Use the distribution's packages only, and say what was left out."
}

variable "tools" {
  type        = map(string)
  default     = {}
  description = "Tool to pinned version."
}

variable "checksums" {
  type        = map(string)
  default     = {}
  description = "File name to SHA-256, for everything that is downloaded."
}

variable "prepull" {
  type        = map(string)
  default     = {}
  description = "Container image reference to the digest to pull."
}

variable "registry_mirror" {
  type        = string
  default     = ""
  description = "Docker Hub pull-through mirror, as a URL."
}

variable "tool_mirror" {
  type        = string
  default     = ""
  description = "Base URL under which <host>/<path> is what https://<host>/<path> is."
}

variable "registry_secrets" {
  type        = map(string)
  default     = {}
  description = "Registry host to the Secrets Manager secret with its username and password."
}

variable "secrets" {
  type        = string
  default     = "[]"
  description = "Secrets an instance fetches, as JSON: names, paths and owners, never values."
}

variable "drain" {
  type        = string
  default     = ""
  description = "What an instance does before it is taken away, as JSON."
}

variable "volume_size" {
  type        = number
  default     = 20
  description = "Root volume, GiB."
}

variable "encrypt" {
  type    = bool
  default = false
}

variable "kms_key_id" {
  type    = string
  default = ""
}

variable "region" {
  type = string
}

variable "ec2_endpoint" {
  type        = string
  default     = ""
  description = "EC2 API of something that is not AWS."
}

variable "source_ami" {
  type        = string
  description = "Id of the parent's AMI."
}

variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "Root device name of the source AMI."
}

variable "ami_name" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "instance_profile" {
  type    = string
  default = ""
}

variable "subnet_id" {
  type    = string
  default = ""
}

variable "security_group_ids" {
  type    = list(string)
  default = []
}

variable "associate_public_ip" {
  type    = bool
  default = false
}

variable "ssh_interface" {
  type        = string
  default     = "private_ip"
  description = "private_ip or public_ip."
}

variable "ssh_timeout" {
  type    = string
  default = "5m"
}

variable "polling_seconds" {
  type        = number
  default     = 15
  description = "Seconds between two looks at an instance's or AMI's state."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the AMI and, but for the verdict, of its snapshots."
}

variable "run_tags" {
  type        = map(string)
  default     = {}
  description = "Tags of what exists during the build only: instance, volumes, key pair."
}
