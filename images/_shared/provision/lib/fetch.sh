# shellcheck shell=bash
# Downloads that are what they should be, or fail; sourced by provision scripts after system.sh.

# Downloads a file from its vendor, or from the tool mirror, and checks it.
#
# The checksum is the one that image.hcl pins for the name the file is saved as. The vendor is not asked
# for it: whoever could change the file there could change the checksum beside it.
#
# Usage: fetch URL DESTINATION
fetch() {
  local url=$1 destination=$2 file=${2##*/} checksum
  checksum=$(lookup "$file" "${CHECKSUMS:-}")
  if [[ -z $checksum ]]; then
    echo "fetch: no checksum for $file: add it to checksums in images/${IMAGE:?}/image.hcl" >&2
    return 1
  fi
  download "$(mirrored "$url")" "$destination"
  check "$destination" "$checksum"
}

# Prints where a URL is read from: the tool mirror, when there is one.
mirrored() {
  if [[ -n ${TOOL_MIRROR:-} ]]; then
    echo "${TOOL_MIRROR%/}/${1#https://}"
  else
    echo "$1"
  fi
}

download() {
  local allowed='=https'
  [[ $1 == https://* ]] || allowed='=http,https' # a mirror inside one's own network
  curl --silent --show-error --fail --location --proto "$allowed" --proto-redir "$allowed" \
    --connect-timeout 15 --retry 4 --retry-connrefused --output "$2" "$1"
}

# Fails, and removes the file, unless it has this SHA-256.
check() {
  local path=$1 checksum=$2
  if ! sha256sum --check --status <<<"$checksum  $path"; then
    echo "fetch: ${path##*/} is not what it should be: its SHA-256 is not $checksum" >&2
    rm --force "$path"
    return 1
  fi
}
