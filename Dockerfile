# An image with carport for jobs of CI systems: `docker build --tag registry.example.org/acme/carport:1.0.0 .`. Podman and buildah take
# it, too. Beside carport it has Nix, git, what `carport run` needs, and Node for the actions of Forgejo. Without a command it is a
# plugin of Woodpecker and Drone (docs/ci.md).
FROM node:22.20.0-bookworm AS build
WORKDIR /carport
COPY . .
RUN npm ci --no-audit --no-fund && npm run --silent package packages "linux-$(node -p process.arch)"

FROM debian:trixie-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git nix-bin nodejs xz-utils \
  && rm -rf /var/lib/apt/lists/* \
  && printf '%s\n' 'experimental-features = nix-command flakes' 'build-users-group =' 'sandbox = false' > /etc/nix/nix.conf
COPY --from=build /carport/packages/carport-linux-* /usr/local/bin/carport
COPY .ci/plugin /usr/local/bin/carport-plugin
ENTRYPOINT ["carport-plugin"]
