description = "Node.js LTS with npm, pnpm and yarn"
parent      = "base-docker"

# After "+" the SHA-512 that corepack checks the package against, as in package.json's packageManager.
tools = {
  node = "22.11.0"
  pnpm = "9.12.3+sha512.cce0f9de9c5a7c95bef944169cc5dfe8741abfb145078c0d508b868056848a87c81e626246cb60967cbd7fd29a6c062ef73ff840d96b3c86c40ac92cf4a813ee"
  yarn = "1.22.22+sha512.a6b2f7906b721bba3d67d4aff083df04dad64c399707841b7acf00f6b133b7ac24255f2652fa22ae3534329dc6180534e98d17432037ff6fd140556e2bb3137e"
}

# To compare: https://nodejs.org/dist/v22.11.0/SHASUMS256.txt
checksums = {
  "node-v22.11.0-linux-x64.tar.xz"   = "83bf07dd343002a26211cf1fcd46a9d9534219aad42ee02847816940bf610a72"
  "node-v22.11.0-linux-arm64.tar.xz" = "6031d04b98f59ff0f7cb98566f65b115ecd893d3b7870821171708cdbaf7ae6e"
}

prepull = ["node:22-bookworm-slim"]

max_age = "7d"
