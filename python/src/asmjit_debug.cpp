// Debian's libasmjit.a is compiled for programs, not for shared objects: its debug helpers read `stderr` by an address
// that a Python module cannot have. Ours take their place in the link; asmjit calls them only when an assertion of its
// debug build fails, or when somebody asks for an error's name.

#include <asmjit/core.h>

#include <cstdlib>

ASMJIT_BEGIN_NAMESPACE
namespace DebugUtils {

const char* errorAsString(Error) noexcept {
  return "asmjit error";
}
void debugOutput(const char*) noexcept {}
void assertionFailed(const char*, int, const char*) noexcept {
  std::abort();
}

}  // namespace DebugUtils
ASMJIT_END_NAMESPACE
