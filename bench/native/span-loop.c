/* What decoding spans costs with nothing around zlib: a plain loop over the
 * spans of a layer, everything in memory, one thread. The yardstick for the
 * addon.
 *
 *   span-loop LAYER TABLE SPANS PASSES
 *
 * TABLE: per span uint64 LE {start, end, output, bits}, then a 32 KiB window.
 * Prints nanoseconds of the fastest pass on the wall clock and, of the cheapest,
 * on the CPU; and the bytes that one pass produced. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zlib.h"

#define WINDOW 32768
#define ROW (4 * 8 + WINDOW)

static void die(const char *what) {
  fprintf(stderr, "span-loop: %s\n", what);
  exit(1);
}

static unsigned char *load(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  unsigned char *bytes = malloc(*size);
  if (!bytes || fread(bytes, 1, *size, file) != *size) die(path);
  fclose(file);
  return bytes;
}

static uint64_t field(const unsigned char *row, int index) {
  uint64_t value;
  memcpy(&value, row + 8 * index, 8);
  return value;
}

static void decode(z_stream *stream, const unsigned char *layer,
                   const unsigned char *row, unsigned char *output) {
  const unsigned char *input = layer + field(row, 0);
  uint64_t length = field(row, 1) - field(row, 0);
  uint64_t bits = field(row, 3);
  if (inflateReset(stream) != Z_OK) die("inflateReset");
  if (bits) {
    if (inflatePrime(stream, (int)bits, *input >> (8 - bits)) != Z_OK)
      die("inflatePrime");
    input++;
    length--;
  }
  inflateSetDictionary(stream, row + 32, WINDOW);
  stream->next_in = (unsigned char *)input;
  stream->avail_in = (unsigned)length;
  stream->next_out = output;
  stream->avail_out = (unsigned)field(row, 2);
  inflate(stream, Z_SYNC_FLUSH);
  if (stream->avail_out) die("a span came out short");
}

static uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 5) die("LAYER TABLE SPANS PASSES");
  size_t size;
  const unsigned char *layer = load(argv[1], &size);
  const unsigned char *table = load(argv[2], &size);
  long spans = atol(argv[3]), passes = atol(argv[4]);
  uint64_t largest = 0, produced = 0, best = UINT64_MAX,
           cheapest = UINT64_MAX;
  for (long i = 0; i < spans; i++) {
    uint64_t output = field(table + i * ROW, 2);
    produced += output;
    if (output > largest) largest = output;
  }
  unsigned char *output = malloc(largest);
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (!output || inflateInit2(&stream, -15) != Z_OK) die("out of memory");
  memset(output, 1, largest);
  for (long pass = 0; pass < passes; pass++) {
    uint64_t wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < spans; i++)
      decode(&stream, layer, table + i * ROW, output);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (wall < best) best = wall;
    if (cpu < cheapest) cheapest = cpu;
  }
  printf("{\"nanoseconds\":%llu,\"cpu\":%llu,\"bytes\":%llu}\n",
         (unsigned long long)best, (unsigned long long)cheapest,
         (unsigned long long)produced);
  return 0;
}
