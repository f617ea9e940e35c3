description = "JDK 17 and 21, Maven and Gradle"
parent      = "base-docker"

tools = {
  jdk-21 = "21.0.5+11" # Temurin's, where the distribution has no JDK 21; its JDK 17 is the distribution's
  maven  = "3.9.9"
  gradle = "8.10.2"
}

prepull = ["maven:3.9-eclipse-temurin-21"]

max_age = "7d"
