# The image: mcp-turnstile on the current Node LTS, as an unprivileged user, all its state in the volume /data.
# Nothing else is written, so `--read-only` works. `docker run -v turnstile:/data -p 8080:8080 IMAGE --upstream URL`
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && npm ci --omit=dev --prefer-offline --no-audit --no-fund && mkdir /data

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="mcp-turnstile" \
      org.opencontainers.image.description="Reverse proxy that sits in front of an MCP gateway and counts every session, exactly" \
      org.opencontainers.image.licenses="MIT"
# The admin port stays inside the container until both TURNSTILE_ADMIN=0.0.0.0:9090 and TURNSTILE_ADMIN_TOKEN are given.
ENV NODE_ENV=production \
    TURNSTILE_LISTEN=0.0.0.0:8080 \
    TURNSTILE_ADMIN=127.0.0.1:9090 \
    TURNSTILE_STORE=sqlite:/data/turnstile.db \
    TURNSTILE_DATA_DIR=/data
WORKDIR /app
COPY package.json schema.sql ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY --from=build --chown=1000:1000 /data /data
VOLUME /data
# By number, so that Kubernetes can see that it is not root; it is the base image's `node`.
USER 1000:1000
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://${process.env.TURNSTILE_ADMIN}/healthz`).then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/src/main.js"]
