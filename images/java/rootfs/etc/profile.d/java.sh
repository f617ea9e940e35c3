# The JDK of jobs that run on the instance itself and name none: the newest one there is.
# shellcheck shell=sh
for jdk in /opt/jdk-21 /opt/jdk-17; do
  if [ -z "${JAVA_HOME:-}" ] && [ -d "$jdk" ]; then
    export JAVA_HOME="$jdk"
  fi
done
unset jdk
