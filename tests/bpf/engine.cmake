# Tests of the engine alone: no objects, no libbpf but for the comparison with the kernel.
add_executable(bpf_conformance_plugin conformance_plugin.cpp)
target_link_libraries(bpf_conformance_plugin PRIVATE rxpool_bpf_engine)
