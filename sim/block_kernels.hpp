#pragma once
// Marks a function whose loops gcc and clang compile three times, for any x86-64, AVX2 and AVX-512, chosen when the
// program is loaded. Only for code whose results are the same bits either way: integers, and IEEE operations that are
// not contracted (tests/sim/test_random.cpp compares them). Sanitizers cannot run the resolver: one version there.

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define RXPOOL_BLOCK_KERNEL
#endif
#endif
#ifndef RXPOOL_BLOCK_KERNEL
#define RXPOOL_BLOCK_KERNEL __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define RXPOOL_BLOCK_KERNEL
#endif
