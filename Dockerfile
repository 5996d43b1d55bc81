# One image for every Karat process; compose chooses which one runs. Node 24 comes from npm with the other packages.
FROM node:24-bookworm-slim
WORKDIR /karat
COPY package.json package-lock.json ./
COPY common/package.json common/
COPY chain/package.json chain/
COPY chain/proto/package.json chain/proto/
COPY chain/rules/package.json chain/rules/
COPY chain/client/package.json chain/client/
COPY ml-node/package.json ml-node/
COPY api-node/package.json api-node/
COPY sidecar/package.json sidecar/
COPY scripts/stub scripts/stub
RUN npm install --omit=dev --no-audit --no-fund --loglevel=error
COPY . .
USER node
