// Compiling a policy from text: what comes out runs, and what reads files that it should not is refused.

#include <catch2/catch.hpp>
#include <fstream>

#include "models/bpf/compile.hpp"
#include "models/bpf/policy.hpp"
#include "sim/error.hpp"
#include "tests/bpf/packet_builder.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using Catch::Matchers::Contains;

namespace {

CompileOptions options() {
  CompileOptions chosen;
  chosen.clang = RXPOOL_BPF_CLANG;
  chosen.include_folder = RXPOOL_POLICY_SOURCES;
  return chosen;
}

std::string program(const std::string& top, const std::string& body) {
  return "#include \"policy.bpf.h\"\n" + top + "\nSEC(\"xdp\") int p(struct xdp_md *ctx) {\n" + body +
         "\n}\nchar LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n";
}

std::string refusal(const std::string& source) {
  try {
    compile_policy(source, "p.bpf.c", options());
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::policy_rejected);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a policy compiled from text runs", "[compile]") {
  const auto object =
      compile_policy(program("const volatile __u32 verdict = XDP_DROP;", "return verdict;"), "p.bpf.c", options());
  PolicyOptions policy_options;
  policy_options.params = {{"verdict", xdp_tx}};
  const auto policy = Policy::load(object, "p.bpf.o", policy_options);
  const auto frame = packet();
  const PacketInput input{frame.bytes(), {}};
  CHECK(policy->run_xdp(std::span(&input, 1))[0].outcome.r0 == xdp_tx);
  CHECK_FALSE(policy->object().programs[0].lines.empty());
}

TEST_CASE("the compiler's first error is the message", "[compile]") {
  CHECK_THAT(refusal(program("", "return nonsense;")), Contains("p.bpf.c:4") && Contains("nonsense"));
}

TEST_CASE("a policy reads no file outside its include folder", "[compile][hostile]") {
  CHECK_THAT(refusal(program("#include <stdio.h>", "return 2;")),
             Contains("outside its include folder") || Contains("error"));
  CHECK_THAT(refusal(program("#include \"/etc/hostname\"", "return 2;")), !Contains("accepted"));
  CHECK_THAT(refusal(program("#include \"" RXPOOL_POLICY_SOURCES "/../CMakeLists.txt\"", "return 2;")),
             Contains("outside its include folder") || Contains("error"));
  CHECK_THAT(
      refusal(program("#if __has_include(\"/etc/passwd\")\n#endif\nconst char x[] = {\n#embed \"/etc/passwd\"\n};",
                      "return x[ctx->rx_queue_index & 7];")),
      Contains("/etc/passwd"));
}

TEST_CASE("assembler directives cannot bring a file in", "[compile][hostile]") {
  CHECK_THAT(refusal(program("asm(\".section x\\n.incbin \\\"/etc/passwd\\\"\");", "return 2;")),
             Contains("directives"));
  CHECK_THAT(refusal(program("asm(\".inc\" \"bin \\\"/etc/passwd\\\"\");", "return 2;")), Contains("directives"));
  CHECK_THAT(
      refusal(program("", "asm volatile(\".macro m a\\n.inc\\\\a \\\"/etc/passwd\\\"\\n.endm\\nm bin\"); return 2;")),
      Contains("directives"));
  CHECK(refusal(program("", "long r; asm volatile(\"%0 = 2\" : \"=r\"(r)); return r;")) == "accepted");
}

TEST_CASE("without a compiler the answer is that there is none", "[compile]") {
  CompileOptions none = options();
  none.clang = "no-such-clang";
  CHECK_THROWS_WITH(compile_policy(program("", "return 2;"), "p.bpf.c", none), Contains("no no-such-clang"));
}
