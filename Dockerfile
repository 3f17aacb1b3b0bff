# The platform as one image: workers, the dashboard and the command line. See docker-compose.yml.
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/cikg
ENV PATH=/opt/cikg/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The packages first: they change less often than the platform and take minutes.
COPY requirements.lock .
RUN pip install --no-deps --require-hashes -r requirements.lock
COPY . .
RUN PYTHONPATH=platform:. python -c "from cikg.embedded.assets import fetch_assets; fetch_assets(quiet=True)" \
 && pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/cikg /opt/cikg
ENV PATH=/opt/cikg/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 1000 --home-dir /data --create-home cikg && chmod 700 /data
USER cikg
WORKDIR /data
VOLUME /data
CMD ["cikg", "--help"]
