description = "JDK 17 and 21, Maven and Gradle"
parent      = "base-docker"

tools = {
  jdk-21 = "21.0.5+11" # Temurin's, where the distribution has no JDK 21; its JDK 17 is the distribution's
  maven  = "3.9.9"
  gradle = "8.10.2"
}

# To compare: https://github.com/adoptium/temurin21-binaries/releases/tag/jdk-21.0.5%2B11 (.sha256.txt)
#   https://services.gradle.org/distributions/gradle-8.10.2-bin.zip.sha256; Maven's is published as SHA-512
checksums = {
  "OpenJDK21U-jdk_x64_linux_hotspot_21.0.5_11.tar.gz"     = "3c654d98404c073b8a7e66bffb27f4ae3e7ede47d13284c132d40a83144bfd8c"
  "OpenJDK21U-jdk_aarch64_linux_hotspot_21.0.5_11.tar.gz" = "6482639ed9fd22aa2e704cc366848b1b3e1586d2bf1213869c43e80bca58fe5c"
  "apache-maven-3.9.9-bin.tar.gz"                         = "7a9cdf674fc1703d6382f5f330b3d110ea1b512b51f1652846d9e4e8a588d766"
  "gradle-8.10.2-bin.zip"                                 = "31c55713e40233a8303827ceb42ca48a47267a0ad4bab9177123121e71524c26"
}

prepull = ["maven:3.9-eclipse-temurin-21"]

max_age = "7d"
