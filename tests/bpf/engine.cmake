# Tests of the engine alone: no objects, no libbpf but for the comparison with the kernel.
add_executable(bpf_conformance_plugin conformance_plugin.cpp)
target_link_libraries(bpf_conformance_plugin PRIVATE rxpool_bpf_engine)

add_library(rxpool_bpf_random_programs STATIC opcode_name.cpp random_programs.cpp)
target_link_libraries(rxpool_bpf_random_programs PUBLIC rxpool_bpf_engine)

add_executable(bpf_kernel_differential kernel_differential.cpp)
target_link_libraries(bpf_kernel_differential PRIVATE rxpool_bpf_random_programs bpf)
add_test(NAME bpf_kernel_differential COMMAND bpf_kernel_differential --programs 2000 --seed 1)
set_tests_properties(bpf_kernel_differential PROPERTIES SKIP_RETURN_CODE 77)

rxpool_test(test_bpf_box test_box.cpp LIBS rxpool_bpf_engine)
rxpool_test(test_bpf_interpreter test_interpreter.cpp LIBS rxpool_bpf_engine)
rxpool_test(test_bpf_vm test_vm.cpp test_containment.cpp LIBS rxpool_bpf_engine)
rxpool_test(test_bpf_random_programs test_random_programs.cpp LIBS rxpool_bpf_random_programs)
