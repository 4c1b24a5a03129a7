# Writes OUTPUT with a SHA-256 over the names and bytes of the files in LIST (one a line, relative to ROOT).
file(STRINGS ${LIST} names)
set(lines "")
foreach(name IN LISTS names)
  file(SHA256 ${ROOT}/${name} digest)
  string(APPEND lines "${digest} ${name}\n")
endforeach()
string(SHA256 total "${lines}")
file(WRITE ${OUTPUT} "#pragma once\ninline constexpr const char* rxpool_core_source = \"${total}\";\n")
