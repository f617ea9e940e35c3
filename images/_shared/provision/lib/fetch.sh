# Downloads that are what they should be, or fail; sourced by provision scripts after system.sh.
# shellcheck shell=bash

# Downloads a file from its vendor, or from the tool mirror, and checks it.
#
# The checksum is the one pinned in image.hcl. Without one it is the vendor's published one, always read
# from the vendor itself: a mirror that could name the checksum could change the file.
#
# Usage: fetch URL DESTINATION [URL_OF_VENDOR_CHECKSUM]
fetch() {
  local url=$1 destination=$2 checksum_url=${3:-} file=${1##*/} checksum
  checksum=$(lookup "$file" "${CHECKSUMS:-}")
  if [[ -z $checksum && -n $checksum_url ]]; then
    checksum=$(vendor_checksum "$file" "$checksum_url")
  fi
  if [[ -z $checksum ]]; then
    echo "fetch: no checksum for $file: pin its SHA-256 in image.hcl, checksums = { \"$file\" = \"…\" }" >&2
    return 1
  fi
  download "$(mirrored "$url")" "$destination"
  check "$destination" "$checksum" "$file"
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

# Prints a file's checksum from a vendor's list: "<sum>  <file>" lines, or nothing but the sum.
vendor_checksum() {
  local file=$1 url=$2 list
  list=$(mktemp)
  download "$url" "$list"
  awk -v file="$file" '
    { name = $2; sub(/^\*/, "", name); sub(/.*\//, "", name) }
    name == file { found = $1 }
    NF == 1 { bare = $1; lines++ }
    END { print found ? found : (NR == 1 && lines == 1 ? bare : "") }
  ' "$list"
  rm "$list"
}

# Fails, and removes the file, unless it has this SHA-256 or SHA-512.
check() {
  local path=$1 checksum=$2 name=$3 program
  case ${#checksum} in
    64) program=sha256sum ;;
    128) program=sha512sum ;;
    *)
      echo "fetch: \"$checksum\" for $name is neither a SHA-256 nor a SHA-512" >&2
      return 1
      ;;
  esac
  if ! "$program" --check --status <<<"${checksum,,}  $path"; then
    echo "fetch: $name is not what it should be: its checksum is not $checksum" >&2
    rm --force "$path"
    return 1
  fi
}
