/* One bare inflate pass over a gzip file: read, inflate (header and CRC-32 by
 * zlib), throw the bytes away. The yardstick for building a ztoc.
 *
 *   inflate-pass LAYER       prints nanoseconds on the wall clock and on the CPU,
 *                            and the bytes produced */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zlib.h"

#define CHUNK (1 << 20)

static void die(const char *what) {
  fprintf(stderr, "inflate-pass: %s\n", what);
  exit(1);
}

static uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 2) die("LAYER");
  FILE *file = fopen(argv[1], "rb");
  unsigned char *input = malloc(CHUNK), *output = malloc(CHUNK);
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (!file || !input || !output || inflateInit2(&stream, 15 + 16) != Z_OK)
    die("cannot start");
  uint64_t wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t produced = 0;
  int status = Z_OK;
  for (;;) {
    stream.avail_in = (unsigned)fread(input, 1, CHUNK, file);
    stream.next_in = input;
    if (stream.avail_in == 0) break;
    do {
      if (status == Z_STREAM_END && inflateReset(&stream) != Z_OK)
        die("inflateReset");
      stream.next_out = output;
      stream.avail_out = CHUNK;
      status = inflate(&stream, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        die("not gzip");
      produced += CHUNK - stream.avail_out;
    } while (stream.avail_in > 0 || stream.avail_out == 0);
  }
  if (status != Z_STREAM_END) die("truncated");
  printf("{\"nanoseconds\":%llu,\"cpu\":%llu,\"bytes\":%llu}\n",
         (unsigned long long)(now(CLOCK_MONOTONIC) - wall),
         (unsigned long long)(now(CLOCK_PROCESS_CPUTIME_ID) - cpu),
         (unsigned long long)produced);
  return 0;
}
