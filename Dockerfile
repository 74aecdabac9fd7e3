# docker build -t cspine-node .
# docker run -p 11112:11112 -v state:/var/lib/cspine-node -v ./cspine-node.toml:/etc/cspine-node/cspine-node.toml:ro cspine-node
#
# The settings file must say host = "0.0.0.0" for the port to be reachable from outside the container.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY config config
COPY node node
COPY dicom_sr dicom_sr
# The same set-up as `make setup`, so that CPU and CUDA builds of torch are chosen in one place; then the package itself.
RUN sh config/setup.sh /opt/cspine-node --no-tools \
    && /opt/cspine-node/bin/pip install --no-cache-dir --no-deps --force-reinstall .

FROM python:3.12-slim-bookworm
COPY --from=build /opt/cspine-node /opt/cspine-node
COPY config/cspine-node.toml /etc/cspine-node/cspine-node.toml
RUN useradd --system --home-dir /var/lib/cspine-node --create-home cspine-node
USER cspine-node
VOLUME /var/lib/cspine-node
EXPOSE 11112
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["/opt/cspine-node/bin/cspine-node"]
CMD ["serve", "--config", "/etc/cspine-node/cspine-node.toml"]
