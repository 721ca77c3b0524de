# One recipe for every part that is our own. SERVICE is its name (gateway, evaluator, allocator,
# guard, paper_broker, stack), FOLDER where it lives:
#   docker build --build-arg SERVICE=guard --tag sep-guard .
ARG PYTHON=3.13

# What all services share: built once, and one layer for all of them.
FROM python:${PYTHON}-slim AS shared
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/constraints.txt requirements/build.txt requirements/
RUN pip install --requirement requirements/build.txt
COPY protos protos
COPY libs/contract libs/contract
COPY libs/fx libs/fx
COPY libs/kit libs/kit
# All of ours in one command: a name that is given as a folder is looked up nowhere else.
RUN pip wheel --no-build-isolation --constraint requirements/constraints.txt \
        --wheel-dir /wheels ./protos ./libs/contract ./libs/fx ./libs/kit \
    && pip install --no-index --no-deps --target /opt/shared /wheels/*.whl

FROM shared AS service
ARG SERVICE
ARG FOLDER=services/${SERVICE}
COPY ${FOLDER} service
# The same holds for a name that is given as a file.
RUN pip wheel --no-build-isolation --constraint requirements/constraints.txt \
        --find-links /wheels --wheel-dir /service-wheels /wheels/sep_*.whl ./service \
    && for wheel in /wheels/*.whl; do rm -f "/service-wheels/${wheel##*/}"; done \
    && pip install --no-index --no-deps --target /opt/service /service-wheels/*.whl

FROM python:${PYTHON}-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/service:/opt/shared PATH=/opt/service/bin:/opt/shared/bin:$PATH \
    NUMBA_CACHE_DIR=/cache
# The image comes without compiled modules, and nothing may write them later: each health probe would
# compile what it imports anew, four times its own work.
RUN python -m compileall -q -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# /state is for parts that keep files, /cache for compiled kernels, /keys for API keys; a volume
# mounted there takes over its owner.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sep \
    && install --directory --owner=sep --group=sep /state /cache /keys
COPY --from=shared /opt/shared /opt/shared
COPY --from=service /opt/service /opt/service
ARG SERVICE
ENV SEP_SERVICE=${SERVICE}
# By number: Kubernetes can't tell that a name is not root.
USER 10001:10001
WORKDIR /state
# exec: the service itself must get SIGTERM, and have its exit code seen.
CMD ["sh", "-c", "exec python -m sep_${SEP_SERVICE}"]
