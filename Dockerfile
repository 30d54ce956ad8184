# The image of docs/how-to/install.md. It needs BuildKit, which Docker has used since version 23.
FROM python:3.14.6-slim-bookworm AS base

FROM base AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM base
# The packages of others are one layer, which stays as it is until requirements.txt changes.
RUN --mount=type=bind,source=requirements.txt,target=requirements.txt \
    pip install --no-cache-dir --only-binary :all: --requirement requirements.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps --no-index /wheels/*.whl
RUN useradd --create-home --uid 1000 sparkify && install --directory --owner sparkify /warehouse
USER 1000:1000
WORKDIR /warehouse
CMD ["sparkify-etl", "--help"]
