# The three programs of Dionysus in one image: outbox-relay, outbox-consumer, dionysus.
#
#   docker build -t dionysus .
#   docker run --rm dionysus dionysus --help

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The registry and the build products stay between builds; the programs must leave the cached folder in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked \
        --package dionysus-relay --package dionysus-consumer --package dionysus-cli \
    && mkdir /out \
    && cp target/release/outbox-relay target/release/outbox-consumer target/release/dionysus /out/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin dionysus
COPY --from=build /out/ /usr/local/bin/
USER dionysus
# The programs end cleanly on SIGTERM, which Docker sends: the relay hands its lanes over.
STOPSIGNAL SIGTERM
CMD ["dionysus", "--help"]
