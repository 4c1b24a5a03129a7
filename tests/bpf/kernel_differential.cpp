// Random programs through our engines and through the kernel's JIT (BPF_PROG_TEST_RUN), compared in r0, every register,
// the stack and a map value:
//   bpf_kernel_differential [--programs N] [--seed S] [--inputs K]
// Prints what was compared and how often each instruction was in it. Exit 0: all equal; 1: a mismatch, printed with its
// seed; 77: no privilege or no such kernel, with the reason.

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "models/bpf/disasm.hpp"
#include "tests/bpf/engine_fixture.hpp"
#include "tests/bpf/opcode_name.hpp"
#include "tests/bpf/random_programs.hpp"

namespace {

using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;

constexpr int skip = 77;
constexpr std::uint32_t packet_bytes = 64;

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int own) : fd(own) {}
  ~Descriptor() {
    if (fd >= 0) {
      close(fd);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// Array map of one value, mapped into this process.
class KernelMap {
 public:
  KernelMap() {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    fd_ = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rxpool_random", 4, sizeof(RandomValue), 1, &options);
    if (fd_ < 0) {
      return;
    }
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    value_ = memory == MAP_FAILED ? nullptr : static_cast<RandomValue*>(memory);
  }
  int fd() const { return fd_; }
  RandomValue* value() const { return value_; }

 private:
  int fd_ = -1;
  RandomValue* value_ = nullptr;
};

int load_into_kernel(const RandomProgram& program, int map_fd, char* log, std::size_t log_bytes) {
  std::vector<bpf_insn> insns(program.insns.size());
  std::memcpy(insns.data(), program.insns.data(), program.insns.size() * sizeof(Insn));
  for (bpf_insn& one : insns) {
    if (one.code == (BPF_LD | BPF_IMM | BPF_DW) && one.src_reg == BPF_PSEUDO_MAP_FD) {
      one.imm = map_fd;
    }
  }
  LIBBPF_OPTS(bpf_prog_load_opts, options, .log_level = log_bytes != 0 ? 1u : 0u,
              .log_size = static_cast<std::uint32_t>(log_bytes), .log_buf = log_bytes != 0 ? log : nullptr);
  const bpf_prog_type type = program.loads_packet ? BPF_PROG_TYPE_SCHED_CLS : BPF_PROG_TYPE_XDP;
  return bpf_prog_load(type, "rxpool_random", "GPL", insns.data(), insns.size(), &options);
}

/// One of our engines with a packet and the value.
class Ours {
 public:
  Ours() : array_(box_, sizeof(RandomValue), 1) {
    slot_ = box_.map_packet_slots(1);
    context_ = box_.map_region(ObjectClass::context, sizeof(XdpMd), "context");
  }
  void load(const RandomProgram& program, Engine engine) {
    VmOptions options;
    options.engine = engine;
    options.cost.insn_ps = 250;
    vm_.reset();
    vm_ = std::make_unique<Vm>(box_, std::vector<Program>{program_of(program.insns)}, std::vector<Map*>{&array_},
                               helpers_, options);
  }
  RandomValue* value() { return reinterpret_cast<RandomValue*>(box_.at(array_.value(0))); }
  Outcome run(const std::uint8_t* packet) {
    const std::uint32_t data = slot_ + Box::packet_headroom;
    std::memcpy(box_.at(data), packet, packet_bytes);
    const XdpMd context{.data = data, .data_end = data + packet_bytes, .data_meta = data};
    std::memcpy(box_.at(context_), &context, sizeof context);
    PacketView view{.context = context_, .slot = slot_};
    Outcome outcome;
    vm_->run_batch(0, {&view, 1}, {&outcome, 1});
    return outcome;
  }
  std::string abort_text() const { return vm_->last_abort(); }

 private:
  Box box_;
  TestArray array_;
  HelperTable helpers_ = test_helpers();
  std::unique_ptr<Vm> vm_;
  BoxOffset slot_ = 0;
  BoxOffset context_ = 0;
};

void print_program(const RandomProgram& program) {
  for (std::uint32_t i = 0; i < program.insns.size(); ++i) {
    const bool wide = program.insns[i].opcode == op::lddw;
    std::printf("%5u: %s\n", i, disassemble(program.insns[i], wide ? &program.insns[i + 1] : nullptr, i).c_str());
    i += wide ? 1 : 0;
  }
}

void print_difference(const RandomValue& kernel, const RandomValue& ours) {
  const auto* a = reinterpret_cast<const std::uint64_t*>(&kernel);
  const auto* b = reinterpret_cast<const std::uint64_t*>(&ours);
  for (std::size_t i = 0; i < sizeof(RandomValue) / 8; ++i) {
    if (a[i] != b[i]) {
      std::printf("  word %zu: kernel %016llx, ours %016llx\n", i, static_cast<unsigned long long>(a[i]),
                  static_cast<unsigned long long>(b[i]));
    }
  }
}

struct Options {
  std::uint64_t programs = 1000;
  std::uint64_t seed = 1;
  unsigned inputs = 10;
};

struct Tally {
  std::uint64_t programs = 0;
  std::uint64_t refused = 0;
  std::uint64_t runs = 0;
  std::uint64_t mismatches = 0;
  std::map<std::string, std::uint64_t> opcodes;
};

class Comparison {
 public:
  explicit Comparison(const KernelMap& map) : map_(map) {}

  /// False on a mismatch.
  bool program(std::uint64_t seed, unsigned inputs, Tally& tally) {
    const RandomProgram program = random_program(seed);
    const Descriptor loaded(load_into_kernel(program, map_.fd(), nullptr, 0));
    if (loaded.fd < 0) {
      if (tally.refused++ == 0) {
        std::string log(1 << 20, '\0');
        const Descriptor again(load_into_kernel(program, map_.fd(), log.data(), log.size()));
        const std::string text = log.c_str();
        std::printf("first refusal, seed %llu:\n%s\n", static_cast<unsigned long long>(seed),
                    text.substr(text.size() < 600 ? 0 : text.size() - 600).c_str());
      }
      return true;
    }
    tally.programs += 1;
    for (std::size_t i = 0; i < program.insns.size(); ++i) {
      tally.opcodes[opcode_name(program.insns[i])] += 1;
      i += program.insns[i].opcode == op::lddw ? 1 : 0;
    }
    for (std::size_t e = 0; e < all_engines.size(); ++e) {
      ours_[e].load(program, all_engines[e]);
    }
    Dice dice(seed ^ 0x5bd1e995);
    for (unsigned n = 0; n < inputs; ++n) {
      if (!input(program, loaded.fd, seed, dice, tally)) {
        return false;
      }
    }
    return true;
  }

 private:
  bool input(const RandomProgram& program, int fd, std::uint64_t seed, Dice& dice, Tally& tally) {
    RandomValue start{};
    random_inputs(dice, start);
    std::uint8_t packet[packet_bytes];
    for (std::uint8_t& byte : packet) {
      byte = static_cast<std::uint8_t>(dice.next());
    }
    packet[12] = 0x08;  // an IPv4 ethertype, so that the kernel's receive path asks for nothing more
    packet[13] = 0x00;
    *map_.value() = start;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = packet_bytes);
    if (bpf_prog_test_run_opts(fd, &run) != 0) {
      std::printf("seed %llu: the kernel did not run it: %s\n", static_cast<unsigned long long>(seed),
                  std::strerror(errno));
      return false;
    }
    tally.runs += 1;
    std::int64_t cost = -1;
    for (std::size_t e = 0; e < all_engines.size(); ++e) {
      *ours_[e].value() = start;
      const Outcome outcome = ours_[e].run(packet);
      cost = e == 0 ? outcome.cost_ps : cost;
      const bool same = outcome.abort == 0 && static_cast<std::uint32_t>(outcome.r0) == run.retval &&
                        outcome.cost_ps == cost &&
                        std::memcmp(ours_[e].value(), map_.value(), sizeof(RandomValue)) == 0;
      if (!same) {
        tally.mismatches += 1;
        std::printf("mismatch: seed %llu, engine %zu, r0 kernel %08x ours %016llx, cost %lld and %lld\n%s",
                    static_cast<unsigned long long>(seed), e, run.retval, static_cast<unsigned long long>(outcome.r0),
                    static_cast<long long>(cost), static_cast<long long>(outcome.cost_ps),
                    ours_[e].abort_text().c_str());
        print_difference(*map_.value(), *ours_[e].value());
        print_program(program);
        return false;
      }
    }
    return true;
  }

  const KernelMap& map_;
  Ours ours_[all_engines.size()];
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const auto value = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--programs") {
      options.programs = value;
    } else if (name == "--seed") {
      options.seed = value;
    } else if (name == "--inputs") {
      options.inputs = static_cast<unsigned>(value);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const KernelMap map;
  if (map.value() == nullptr) {
    std::printf("skipped: no BPF map in this kernel for this user (%s); CAP_BPF is needed\n", std::strerror(errno));
    return skip;
  }
  Comparison comparison(map);
  Tally tally;
  bool same = true;
  for (std::uint64_t n = 0; n < options.programs && same; ++n) {
    same = comparison.program(options.seed + n, options.inputs, tally);
  }
  if (tally.programs == 0) {
    std::printf("skipped: the kernel took none of %llu programs\n", static_cast<unsigned long long>(options.programs));
    return skip;
  }
  std::uint64_t least = ~std::uint64_t{0};
  for (const std::string& name : all_opcode_names()) {
    const std::uint64_t count = tally.opcodes[name];
    least = count < least ? count : least;
    std::printf("%-20s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf(
      "programs %llu, refused by the verifier %llu, runs %llu, mismatches %llu, rarest instruction %llu times\n",
      static_cast<unsigned long long>(tally.programs), static_cast<unsigned long long>(tally.refused),
      static_cast<unsigned long long>(tally.runs), static_cast<unsigned long long>(tally.mismatches),
      static_cast<unsigned long long>(least));
  return same ? 0 : 1;
}
