# The service: no TensorFlow, Keras or Hydra, no compiler, not root.
#   docker build -t medexp-serve .
#   docker run --rm -p 127.0.0.1:8000:8000 -e MEDEXP_SERVE_TRACKING_URI=http://mlflow:5000 medexp-serve
# With the SQLite store of this checkout, whose artifacts are named by absolute paths:
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/outputs:$PWD/outputs:ro" \
#     -e MEDEXP_SERVE_TRACKING_URI="sqlite:///$PWD/outputs/mlflow.db" medexp-serve
FROM python:3.11-slim AS builder
COPY requirements-serve.lock /
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-cache-dir --require-hashes -r /requirements-serve.lock
COPY serve /app/serve
COPY medexp/__init__.py medexp/errors.py medexp/redact.py medexp/types.py /app/medexp/
COPY medexp/imaging /app/medexp/imaging
COPY medexp/decision /app/medexp/decision
COPY medexp/registry/__init__.py medexp/registry/bundle.py medexp/registry/checksum.py \
     medexp/registry/classification.py medexp/registry/golden.py medexp/registry/passport.py /app/medexp/registry/
COPY medexp/registry/engine /app/medexp/registry/engine
COPY conf/serve.yaml /app/conf/
RUN python -m compileall -q /app

FROM python:3.11-slim
LABEL org.opencontainers.image.title="medexp-serve" \
      org.opencontainers.image.description="Serves the champion of an MLflow registry. For research, not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin medexp \
 && install -d -o 10001 -g 10001 /var/cache/medexp
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet \
    MEDEXP_SERVE_HOST=0.0.0.0 \
    MEDEXP_SERVE_CACHE=/var/cache/medexp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('MEDEXP_SERVE_PORT', '8000') + '/health/live', timeout=3)"]
CMD ["python", "-m", "serve"]
