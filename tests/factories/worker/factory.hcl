factory "worker" {
  region       = "eu-central-1"
  state_bucket = "example-amifactory-state"
}
