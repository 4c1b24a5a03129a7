/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Included before a policy that is compiled for comparison with the kernel: clock and random numbers come from an array
 * map that the test writes, so that both worlds see the same ones.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct given {
	__u64 now_ns;
	__u64 random;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct given);
} given_inputs SEC(".maps");

static __always_inline __u64 given_now(void)
{
	__u32 zero = 0;
	struct given *given = bpf_map_lookup_elem(&given_inputs, &zero);

	return given ? given->now_ns : 0;
}

static __always_inline __u32 given_random(void)
{
	__u32 zero = 0;
	struct given *given = bpf_map_lookup_elem(&given_inputs, &zero);

	return given ? (__u32)given->random : 0;
}

#define bpf_ktime_get_ns() given_now()
#define bpf_get_prandom_u32() given_random()
