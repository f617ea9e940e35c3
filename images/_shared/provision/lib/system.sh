# shellcheck shell=bash
# What differs between distributions, and what a build says of itself; sourced by provision scripts.

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# Whether only the distribution's packages may be used.
offline() {
  [[ ${OFFLINE:?} == true ]]
}

# Whether this is Debian or Ubuntu; else it is Amazon Linux.
uses_apt() {
  command -v apt-get >/dev/null
}

# Whether the distribution has a package.
has_package() {
  if uses_apt; then
    [[ -n $(apt-cache madison "$1") ]]
  else
    dnf --quiet list "$1" &>/dev/null
  fi
}

install_packages() {
  if uses_apt; then
    quietly apt-get install --yes "$@"
  else
    quietly dnf install --assumeyes --setopt=install_weak_deps=False "$@"
  fi
}

# Runs a command whose output matters only when it fails.
quietly() {
  local output status=0
  output=$(mktemp)
  "$@" &>"$output" || status=$?
  if [[ $status != 0 ]]; then
    cat "$output" >&2
  fi
  rm "$output"
  return "$status"
}

# Writes "name: value" into a file of the AMI that has one line for each name.
note() {
  local file=${DESTDIR:-}/etc/amifactory/$1 name=$2 value=$3
  install --directory "${file%/*}"
  touch "$file"
  sed --in-place "/^$name: /d" "$file"
  echo "$name: $value" >>"$file"
}

# Notes that a tool is not in the image: for the build's log, and in the AMI for its spec.
left_out() {
  local tool=$1 why=$2
  echo "amifactory:left-out:$tool: $why"
  note left-out "$tool" "$why"
}

# Prints the version image.hcl pins for a tool that is now installed, and notes it in the AMI for its
# inventory; or fails.
pinned_version() {
  local name=${1^^}
  local variable=TOOL_${name//-/_}
  if [[ -z ${!variable:-} ]]; then
    echo "image.hcl pins no version of $1: add it to tools" >&2
    return 1
  fi
  note tools "$1" "${!variable}"
  echo "${!variable}"
}

# Prints the value of a key in "key=value key=value", or nothing.
lookup() {
  local key=$1 pair
  for pair in $2; do
    if [[ ${pair%%=*} == "$key" ]]; then
      echo "${pair#*=}"
      return
    fi
  done
}

# Prints the architecture as Debian and Go call it.
go_architecture() {
  case ${ARCHITECTURE:?} in
    x86_64) echo amd64 ;;
    arm64) echo arm64 ;;
  esac
}
