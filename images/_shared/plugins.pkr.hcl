# Packer 1.7 and later get their builders from plugins; 1.6 has them built in and rejects this block.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0, < 2.0.0"
    }
  }
}
