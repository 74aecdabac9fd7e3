# docker build -t cspine-node .                             for the CPU
# docker build -t cspine-node:cuda --build-arg TORCH=cuda . with CUDA: the NVIDIA container toolkit brings the driver
#
# One image, and what runs in it is the command: serve, worker, web, or any other of `cspine-node --help`.
# compose.yaml runs the three of them beside Orthanc and OHIF. Alone:
#
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -p 11112:11112 \
#       -v state:/var/lib/cspine-node -v ./cspine-node.toml:/etc/cspine-node/cspine-node.toml:ro cspine-node
#
# The settings file must say host = "0.0.0.0" for the port to be reachable from outside the container.
FROM python:3.12-slim-bookworm AS build
ARG TORCH=cpu
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY config config
COPY node node
COPY dicom_sr dicom_sr
# The same set-up as `make setup`, so that CPU and CUDA builds of torch are chosen in one place; then the package itself;
# and what is in it, for those who ask (docs/administrator.md).
RUN TORCH="$TORCH" sh config/setup.sh /opt/cspine-node --no-tools \
    && /opt/cspine-node/bin/pip install --no-cache-dir --no-deps --force-reinstall . \
    && python -m venv /tmp/sbom \
    && /tmp/sbom/bin/pip install --no-cache-dir --constraint constraints.txt cyclonedx-bom \
    && /tmp/sbom/bin/python config/sbom.py /opt/cspine-node/bin/python /opt/cspine-node/sbom.cdx.json

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="cspine-node" \
      org.opencontainers.image.description="Cervical spine segmentation beside the PACS. Research use, not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/cspine-node /opt/cspine-node
# Readable by the user below, whatever umask the source was checked out with.
COPY --chmod=0644 config/container/healthcheck.py /opt/cspine-node/healthcheck.py
COPY --chmod=0644 config/cspine-node.toml /etc/cspine-node/cspine-node.toml
# Volumes that are made of these folders belong to the node.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/cspine-node --shell /usr/sbin/nologin cspine-node \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/cspine-node /run/cspine-node
USER 10001:10001
VOLUME /var/lib/cspine-node
EXPOSE 11112
# Whatever a library wants to keep goes to /tmp: the root is read-only.
ENV PATH=/opt/cspine-node/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    CSPINE_NODE_CONFIG=/etc/cspine-node/cspine-node.toml
STOPSIGNAL SIGTERM
# Of `serve`; worker and web have their own in compose.yaml.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60m --retries=3 \
    CMD ["/opt/cspine-node/bin/python", "/opt/cspine-node/healthcheck.py", "node", "/var/lib/cspine-node"]
ENTRYPOINT ["/opt/cspine-node/bin/cspine-node"]
CMD ["serve"]
