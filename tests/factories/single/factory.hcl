factory "single" {
  region       = "eu-central-1"
  state_bucket = "example-amifactory-state"
}
