# One recipe for every part that is our own. SERVICE is its name (gateway, evaluator, allocator,
# guard, paper_broker, stack), FOLDER where it lives:
#   docker build --build-arg SERVICE=guard --tag sep-guard .
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS wheels
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/constraints.txt requirements/build.txt requirements/
RUN pip install --requirement requirements/build.txt
# What all share comes first: these layers serve every service.
COPY protos protos
COPY libs/fx libs/fx
COPY libs/kit libs/kit
RUN pip wheel --no-build-isolation --constraint requirements/constraints.txt \
        --wheel-dir /wheels ./protos ./libs/fx ./libs/kit
ARG SERVICE
ARG FOLDER=services/${SERVICE}
COPY ${FOLDER} service
# All of ours in one command: a name that is given as a folder is looked up nowhere else.
RUN pip wheel --no-build-isolation --constraint requirements/constraints.txt \
        --find-links /wheels --wheel-dir /wheels ./protos ./libs/fx ./libs/kit ./service

FROM python:${PYTHON}-slim
# Compiled kernels are kept where a read-only container may write.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba
# /state is for parts that keep files; a volume mounted there takes over its owner.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sep \
    && install --directory --owner=sep --group=sep /state
COPY --from=wheels /wheels /wheels
RUN pip install --no-cache-dir --no-index --no-deps /wheels/*.whl && rm -rf /wheels
ARG SERVICE
ENV SEP_SERVICE=${SERVICE}
USER sep
WORKDIR /state
# exec: the service itself must get SIGTERM, and have its exit code seen.
CMD ["sh", "-c", "exec python -m sep_${SEP_SERVICE}"]
