# The whole suite, from the versions that its tests run with:
#   docker build --tag reconpatch .
#   docker run --rm --volume "$PWD/out:/suite/results" --volume "$PWD/reports:/suite/reports" reconpatch
# With an NVIDIA GPU add --gpus all; another suite comes after the image's name: --config suite=elpv
FROM python:3.11-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# git says which commit gave a result; OpenMP is what torch computes with on a CPU.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN python -m pip install --no-cache-dir --no-deps --editable .
ENTRYPOINT ["snakemake", "--cores", "all"]
CMD ["--config", "suite=demo", "threads=1"]
