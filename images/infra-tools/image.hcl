description = "Infrastructure jobs: kubectl, helm, terraform, ansible, shellcheck; awscli and jq come from the parent"
parent      = "base-docker"

tools = {
  kubectl   = "1.31.2"
  helm      = "3.16.2"
  terraform = "1.9.8"
}

# To compare: https://dl.k8s.io/release/v1.31.2/bin/linux/<architecture>/kubectl.sha256
#   https://get.helm.sh/helm-v3.16.2-linux-<architecture>.tar.gz.sha256sum
#   https://releases.hashicorp.com/terraform/1.9.8/terraform_1.9.8_SHA256SUMS
checksums = {
  "kubectl-1.31.2-linux-amd64"      = "399e9d1995da80b64d2ef3606c1a239018660d8b35209fba3f7b0bc11c631c68"
  "kubectl-1.31.2-linux-arm64"      = "bb9fd6e5a92c2e2378954a2f1a8b4ccb2e8ba5a3635f870c3f306a53b359f971"
  "terraform_1.9.8_linux_amd64.zip" = "186e0145f5e5f2eb97cbd785bc78f21bae4ef15119349f6ad4fa535b83b10df8"
  "terraform_1.9.8_linux_arm64.zip" = "f85868798834558239f6148834884008f2722548f84034c9b0f62934b2d73ebb"
  "helm-v3.16.2-linux-amd64.tar.gz" = "9318379b847e333460d33d291d4c088156299a26cd93d570a7f5d0c36e50b5bb"
  "helm-v3.16.2-linux-arm64.tar.gz" = "1888301aeb7d08a03b6d9f4d2b73dcd09b89c41577e80e3455c113629fc657a4"
}

prepull = ["hashicorp/terraform:1.9"]

# Fetched by each instance with its own role; the AMI has only this description of it.
secret "kubeconfig" {
  id    = "ci/kubeconfig"
  path  = "/home/gitlab-runner/.kube/config"
  owner = "gitlab-runner"
  mode  = "0600"
  when  = "boot"
}

max_age = "7d"
