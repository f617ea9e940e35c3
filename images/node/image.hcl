description = "Node.js LTS with npm, pnpm and yarn"
parent      = "base-docker"

tools = {
  node = "22.11.0"
  pnpm = "9.12.3"
  yarn = "1.22.22"
}

# To compare: https://nodejs.org/dist/v22.11.0/SHASUMS256.txt
checksums = {
  "node-v22.11.0-linux-x64.tar.xz"   = "83bf07dd343002a26211cf1fcd46a9d9534219aad42ee02847816940bf610a72"
  "node-v22.11.0-linux-arm64.tar.xz" = "6031d04b98f59ff0f7cb98566f65b115ecd893d3b7870821171708cdbaf7ae6e"
}

prepull = ["node:22-bookworm-slim"]

max_age = "7d"
