# One image for every role. Alone it runs the whole system (`serve`); of several containers each gets its role's command:
#   migrate  python manage.py setup
#   web      python manage.py web
#   worker   celery -A orchestration_site worker -P threads --without-gossip --without-mingle
#   beat     celery -A orchestration_site beat
# `migrate` runs to its end before the others. compose.yaml starts them all, docs/deployment.md says how. They share
# SECRET_KEY and ENCRYPTION_KEYS, or one /data, where keys are made when there are none. The root may be read-only: what
# is written is written in /data and /tmp. `python manage.py create_key NAME` in any of them makes an API key.
# `make image` tries all of it.
FROM python:3.11-slim-bookworm AS build

WORKDIR /build
COPY requirements.txt requirements-dev.txt .ci/install ./
# The installers stay behind: what runs has no use for them.
RUN ./install /opt/venv requirements.txt python3.11 \
    && /opt/venv/bin/pip uninstall --yes --quiet uv setuptools pip

# The pages, with a Node.js that stays behind as well.
FROM python:3.11-slim-bookworm AS pages

WORKDIR /build
COPY requirements-dev.txt requirements-node.txt ./
COPY .ci ./.ci
COPY frontend ./frontend
RUN .ci/install venv requirements-node.txt python3.11 && .ci/build-pages venv

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --create-home --home-dir /data orchestration
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
COPY --from=pages /build/frontend/dist ./frontend/dist
RUN python -m compileall -q /app

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of what serves pages; compose.yaml gives workers and beats their own.
HEALTHCHECK --start-period=30s --interval=10s --timeout=5s \
    CMD ["python", "-m", "orchestration_site.healthcheck", "web"]
CMD ["python", "manage.py", "serve"]
