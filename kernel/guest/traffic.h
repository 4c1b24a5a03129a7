/* Knobs of the guest's XDP programs, shared by them and the agent. */
#ifndef RXPOOL_KERNEL_GUEST_TRAFFIC_H
#define RXPOOL_KERNEL_GUEST_TRAFFIC_H

#include <linux/types.h>

struct TrafficKnobs {
  __u32 verdict;          /* of every packet, unless mix is set */
  __u32 mix;              /* each packet its own: drop, pass, tx or redirect by a pseudo-random draw */
  __u32 redirect_ifindex; /* target of XDP_REDIRECT; 0: the cpumap */
  __u32 redirect_cpu;
  __u32 generate_ifindex; /* where generated frames go; 0: dropped at once */
};

#endif
