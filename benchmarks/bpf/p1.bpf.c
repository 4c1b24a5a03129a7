/* The least a program can do. */
#include "bench_program.h"

PROGRAM(p1) {
  return DROP;
}
