# keyvalue-cache: build with the compilers, ship without them.
#   docker build -t keyvalue-cache .
#   docker run -p 127.0.0.1:7171:7171 keyvalue-cache

FROM debian:trixie-slim AS build
RUN apt-get update -qq -o Acquire::Retries=5 \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Acquire::Retries=5 \
      g++ cmake make ninja-build libboost-dev nlohmann-json3-dev libcuckoo-dev libspdlog-dev libcli11-dev \
      libxxhash-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json ./
COPY include include
COPY src src
RUN cmake --preset release -DKVCACHE_BUILD_TESTS=OFF \
 && cmake --build --preset release --target kvcache_daemon
# Behind what takes long: another revision only has the program linked.
ARG REVISION=unknown
RUN cmake --preset release -DKVCACHE_REVISION="${REVISION}" \
 && cmake --build --preset release --target keyvalue-cache \
 && strip build/release/keyvalue-cache

# The binary needs only libc and libstdc++, which the base has: nothing is installed here.
FROM debian:trixie-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="keyvalue-cache" \
      org.opencontainers.image.description="An in-memory key-value cache that speaks HTTP and respects its memory limit" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# For --snapshot-file: a volume that is mounted here belongs to the user, too.
RUN install -d -o 65532 -g 65532 -m 700 /var/lib/keyvalue-cache
COPY --from=build /src/build/release/keyvalue-cache /usr/local/bin/keyvalue-cache
# A container's port is published by choice (docker run -p), so inside it listens on every interface.
# The rest is what suits a t3.small (2 processors, 2 GiB) and smaller and larger ones alike: a thread
# for each processor the container may use, its memory limit as it is at any moment, nothing evicted
# up to 70 % of that and room made at once from 95 % on.
ENV KVCACHE_BIND=0.0.0.0 \
    KVCACHE_PORT=7171 \
    KVCACHE_THREADS=auto \
    KVCACHE_MEMORY_LIMIT=auto \
    KVCACHE_PRESSURE_PERCENT=70 \
    KVCACHE_EMERGENCY_PERCENT=95
EXPOSE 7171
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s --retries=3 \
  CMD ["/usr/local/bin/keyvalue-cache", "--health-check"]
ENTRYPOINT ["/usr/local/bin/keyvalue-cache"]
