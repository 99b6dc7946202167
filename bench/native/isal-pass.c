/* The pass of inflate-pass.c with ISA-L instead of zlib, over a gzip file of one
 * member.
 *
 *   isal-pass LAYER          prints nanoseconds on the wall clock and on the CPU,
 *                            and the bytes produced */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <isa-l/igzip_lib.h>

#define CHUNK (1 << 20)

static void die(const char *what) {
  fprintf(stderr, "isal-pass: %s\n", what);
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
  struct inflate_state state;
  if (!file || !input || !output) die("cannot start");
  isal_inflate_init(&state);
  state.crc_flag = ISAL_GZIP;
  uint64_t wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t produced = 0;
  while (state.block_state != ISAL_BLOCK_FINISH) {
    state.avail_in = (uint32_t)fread(input, 1, CHUNK, file);
    state.next_in = input;
    if (state.avail_in == 0) die("truncated");
    do {
      state.next_out = output;
      state.avail_out = CHUNK;
      if (isal_inflate(&state) != ISAL_DECOMP_OK) die("not gzip");
      produced += CHUNK - state.avail_out;
    } while (state.avail_out == 0);
  }
  printf("{\"nanoseconds\":%llu,\"cpu\":%llu,\"bytes\":%llu}\n",
         (unsigned long long)(now(CLOCK_MONOTONIC) - wall),
         (unsigned long long)(now(CLOCK_PROCESS_CPUTIME_ID) - cpu),
         (unsigned long long)produced);
  return 0;
}
