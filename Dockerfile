# One image for every role. Alone it runs the whole system (`serve`); of several containers each gets its role's command:
#   web     python manage.py web
#   worker  celery -A orchestration_site worker -P threads --without-gossip --without-mingle
#   beat    celery -A orchestration_site beat
#   once    python manage.py setup
FROM python:3.11-slim-bookworm AS build

WORKDIR /build
COPY requirements.txt requirements-dev.txt .ci/install ./
RUN ./install /opt/venv requirements.txt python3.11

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --create-home --home-dir /data orchestration
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
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
HEALTHCHECK --start-period=30s --interval=10s --timeout=5s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=3)"]
CMD ["python", "manage.py", "serve"]
