# The interpreter is part of what the locks were compiled for.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The compiler of the compiled module; it stays in this stage.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/backstay
COPY requirements.lock requirements-dev.lock ./
# The build backend is in the development lock; it stays in this stage.
RUN /opt/backstay/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && python -m pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY app app
COPY docs/runbook.md docs/runbook.md
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/backstay/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/backstay backstay \
 && install -d -o backstay -g backstay -m 0700 /var/lib/backstay /var/lib/backstay/backups /var/lib/backstay/state
COPY --from=build /opt/backstay /opt/backstay
ENV PATH=/opt/backstay/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BACKSTAY_BACKUP_DIR=/var/lib/backstay/backups \
    BACKSTAY_STATE_DIR=/var/lib/backstay/state
USER 10001:10001
WORKDIR /var/lib/backstay
VOLUME ["/var/lib/backstay/backups", "/var/lib/backstay/state"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
# Running work ends cleanly on SIGTERM; give it more time than a swap may take: docker stop -t 60
STOPSIGNAL SIGTERM
ENTRYPOINT ["backstay"]
CMD ["serve", "--host", "0.0.0.0"]
