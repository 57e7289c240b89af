# The course in a container, without a GPU:
#   docker build -t nst-lesson . && docker run --rm -p 8888:8888 nst-lesson
# then open the address that it prints. `-v "$PWD/runs:/course/runs"` keeps what lessons write.
FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home student && install -d -o student /course
USER student
WORKDIR /course
COPY --chown=student . .
RUN make install TORCH=cpu
EXPOSE 8888
ENV JUPYTER_OPTIONS="--ip=0.0.0.0 --no-browser"
CMD ["make", "lab"]
