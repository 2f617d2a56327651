# The service in an image: dependencies from the lock, front-end libraries from theirs, one wheel that carries the
# client's, one unprivileged user.
# docker-compose.yml shows it with a PostgreSQL; alone it runs the embedded one, in the volume /var/lib/jobtrack.

FROM node:24-slim AS assets
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY deploy/vendor-assets ./
RUN ./vendor-assets node_modules /vendor

FROM python:3.13-slim AS build
RUN python -m venv /opt/jobtrack && python -m venv /opt/build
WORKDIR /build
# Before the code, so that a change of the code alone installs nothing anew.
COPY requirements/ requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock \
    && /opt/jobtrack/bin/pip install --no-cache-dir --require-hashes -r requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY app/ app/
COPY jobtrack_client/ jobtrack_client/
COPY migrations/ migrations/
COPY --from=assets /vendor app/static/vendor
# The client alone, which the service serves to pip.
COPY client/ client/
COPY deploy/client-wheel deploy/client-wheel
RUN deploy/client-wheel /opt/build/bin/python app/wheels
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/jobtrack/bin/pip install --no-cache-dir --no-deps /dist/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Jobtrack" \
      org.opencontainers.image.description="A self-hosted service that tracks background jobs" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number and a name: Kubernetes' runAsNonRoot wants the first, PostgreSQL's programs look for the second.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin jobtrack \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/jobtrack
COPY --from=build /opt/jobtrack /opt/jobtrack
ENV PATH=/opt/jobtrack/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    JOBTRACK_HOST=0.0.0.0 \
    JOBTRACK_PORT=8000 \
    JOBTRACK_DATA_DIR=/var/lib/jobtrack
USER 10001:10001
WORKDIR /var/lib/jobtrack
VOLUME /var/lib/jobtrack
EXPOSE 8000
# The service drains on SIGTERM: open waits are answered, the embedded database is stopped last.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["jobtrack", "health"]
# The exec form: the service is process 1 and gets the signal itself.
CMD ["jobtrack", "serve"]
