# The image: mcp-turnstile on the current LTS line of Node, as an unprivileged user, all its state in the volume /data.
# Nothing else is written, so `--read-only` works. There is no shell in it. How to run it: docs/deploy.md.
ARG NODE_IMAGE=docker.io/library/node:26-bookworm

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY build.js tsconfig.json tsconfig.package.json ./
COPY src ./src
RUN npm run prepack && npm ci --omit=dev --prefer-offline --no-audit --no-fund
# What runs, without what only those who develop read; Node without its symbols, and the libraries that it and its addons load.
COPY schema.sql ./
COPY docker/healthcheck.js ./docker/
RUN find node_modules dist -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' -o -name '*.md' \) -delete \
 && rm -rf node_modules/@libsql/*-musl node_modules/@koromix/*/musl_* \
 && mkdir -p /image/app /image/data /image/etc /image/run /image/tmp /image/usr/local/bin \
 && cp -r package.json schema.sql node_modules dist docker /image/app/ \
 && strip -o /image/usr/local/bin/node "$(command -v node)" \
 && ldd /image/usr/local/bin/node $(find node_modules -name "*.node") | grep -o '/lib[^ ]*[.]so[^ ]*' | sort -u \
  | xargs cp -L --parents --target-directory=/image \
 && chown 1000:1000 /image/data && chmod 1777 /image/tmp

FROM scratch
LABEL org.opencontainers.image.title="mcp-turnstile" \
      org.opencontainers.image.description="Reverse proxy that sits in front of an MCP gateway and counts every session, exactly" \
      org.opencontainers.image.licenses="MIT"
# The admin port stays inside the container until both TURNSTILE_ADMIN=0.0.0.0:9090 and TURNSTILE_ADMIN_TOKEN are given.
ENV PATH=/usr/local/bin \
    NODE_ENV=production \
    TURNSTILE_LISTEN=0.0.0.0:8080 \
    TURNSTILE_ADMIN=127.0.0.1:9090 \
    TURNSTILE_STORE=sqlite:/data/turnstile.db \
    TURNSTILE_DATA_DIR=/data
WORKDIR /app
COPY --from=build /image /
VOLUME /data
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "/app/docker/healthcheck.js"]
ENTRYPOINT ["node", "/app/dist/src/main.js"]
