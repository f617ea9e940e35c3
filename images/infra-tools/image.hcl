description = "Infrastructure jobs: kubectl, helm, terraform, ansible, shellcheck; awscli and jq come from the parent"
parent      = "base-docker"

tools = {
  kubectl   = "1.31.2"
  helm      = "3.16.2"
  terraform = "1.9.8"
}

# To compare: https://get.helm.sh/helm-v3.16.2-linux-<architecture>.tar.gz.sha256sum
checksums = {
  "helm-v3.16.2-linux-amd64.tar.gz" = "9318379b847e333460d33d291d4c088156299a26cd93d570a7f5d0c36e50b5bb"
  "helm-v3.16.2-linux-arm64.tar.gz" = "1888301aeb7d08a03b6d9f4d2b73dcd09b89c41577e80e3455c113629fc657a4"
}

prepull = ["hashicorp/terraform:1.9"]

max_age = "7d"
