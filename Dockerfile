# One recipe for the images of all our services. SERVICE is the service's name (gateway, evaluator,
# allocator, guard, paper_broker, stack), FOLDER the folder of its source,
# LIBRARY one more folder of ours that it needs:
#   docker build --build-arg SERVICE=guard --tag sep-guard .
# Third-party packages have layers of their own: a changed line of source reinstalls none of them.
ARG PYTHON=3.13
# For releases, the base image with its digest: python:3.13-slim@sha256:... A tag alone may name
# another image tomorrow; docs/operations/reference.md, *Images*, says how to get digests.
ARG BASE=python:${PYTHON}-slim

FROM ${BASE} AS base
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/run.txt requirements/
COPY requirements/locked requirements/locked

# --- Third-party packages -------------------------------------------------------------------------

# Runs after every change of source, in a second. The stages below use only the lists that it
# writes, so they run again only when a list changes.
FROM base AS lists
ARG SERVICE
ARG FOLDER=services/${SERVICE}
ARG LIBRARY=libs/contract
COPY deploy/image/third_party.py ./
COPY protos/pyproject.toml protos/
COPY libs libs
COPY ${FOLDER} service
COPY ${LIBRARY} library
RUN mkdir /lists && python third_party.py service protos libs/* library --out /lists

# Everything that any service may need, each file compared with its digest. The stages after it ask no
# index.
FROM base AS verified
RUN pip download --require-hashes --no-deps --dest /verified \
        --requirement requirements/locked/run.txt

FROM verified AS shared-dependencies
COPY --from=lists /lists/shared.txt /lists/
RUN pip wheel --no-index --find-links /verified \
        --constraint requirements/run.txt --requirement /lists/shared.txt --wheel-dir /wheels \
    && pip install --no-index --no-deps --target /opt/shared-dependencies /wheels/*.whl

# What the service needs on top of the shared packages; for some services that is nothing.
FROM shared-dependencies AS service-dependencies
COPY --from=lists /lists/service.txt /lists/
RUN mkdir -p /service-wheels /opt/service-dependencies \
    && pip wheel --no-index --find-links /verified --constraint requirements/run.txt \
        --requirement /lists/service.txt --wheel-dir /service-wheels \
    && for wheel in /wheels/*.whl; do rm -f "/service-wheels/${wheel##*/}"; done \
    && set -- /service-wheels/*.whl \
    && if [ -e "$1" ]; then \
        pip install --no-index --no-deps --target /opt/service-dependencies "$@"; \
    fi

# --- Our own packages -----------------------------------------------------------------------------

FROM verified AS build
# The contract's code imports the last two while it is generated.
RUN pip install --require-hashes --no-deps --requirement requirements/locked/build.txt \
    && pip install --no-index --find-links /verified --constraint requirements/run.txt \
        googleapis-common-protos protovalidate

# The libraries that all services share: built once, and the same layer in every image.
FROM build AS shared
COPY protos protos
COPY libs libs
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheels ./protos ./libs/* \
    && pip install --no-index --no-deps --target /opt/shared /wheels/*.whl

FROM build AS service
ARG SERVICE
ARG FOLDER=services/${SERVICE}
ARG LIBRARY=libs/contract
COPY ${FOLDER} service
COPY ${LIBRARY} library
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheels ./service \
        $(test ${LIBRARY} = libs/contract || echo ./library) \
    && pip install --no-index --no-deps --target /opt/service /wheels/*.whl

# --- The console ----------------------------------------------------------------------------------

# Only the stack's image has it: sep-stack gives it to Envoy. Without npm's registry the image is built
# without it; with --build-arg CONSOLE= that is an error.
FROM base AS console
ARG SERVICE
ARG CONSOLE=--optional
COPY console console
RUN mkdir /opt/console \
    && if test "${SERVICE}" = stack; then \
        python console/make.py ${CONSOLE} \
        && if test -d console/dist; then cp -R console/dist/. /opt/console; fi; \
    fi

# --- The image ------------------------------------------------------------------------------------

FROM ${BASE}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/service:/opt/shared:/opt/service-dependencies:/opt/shared-dependencies \
    PATH=/opt/service/bin:/opt/shared/bin:$PATH \
    NUMBA_CACHE_DIR=/cache \
    MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072 \
    NUMPY_MADVISE_HUGEPAGE=0
# The base image has no compiled standard library, and the root file system is read-only later:
# without this each health probe would compile its imports again, at four times its own cost.
RUN python -m compileall -q -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Mount points: /state for files of the service, /cache for compiled kernels, /keys for API keys.
# A new volume takes over the owner of its mount point.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sep \
    && install --directory --owner=sep --group=sep /state /cache /keys
# In order of change: a new release of a service replaces its last layer only.
COPY --from=shared-dependencies /opt/shared-dependencies /opt/shared-dependencies
COPY --from=service-dependencies /opt/service-dependencies /opt/service-dependencies
COPY --from=shared /opt/shared /opt/shared
COPY --from=console /opt/console /opt/console
COPY --from=service /opt/service /opt/service
ARG SERVICE
ENV SEP_SERVICE=${SERVICE}
# A number, because Kubernetes can't verify that a user name is not root.
USER 10001:10001
WORKDIR /state
# exec: the service must be the process that receives SIGTERM and whose exit code counts.
CMD ["sh", "-c", "exec python -m sep_${SEP_SERVICE}"]
