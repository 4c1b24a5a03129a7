# rxpool_test(NAME source... LIBS library...): one Catch2 (v2) executable, registered with ctest.
enable_testing()
find_package(Catch2 2 REQUIRED)
file(WRITE ${CMAKE_BINARY_DIR}/catch_main.cpp "#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n")
add_library(rxpool_catch_main STATIC EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/catch_main.cpp)
target_link_libraries(rxpool_catch_main PUBLIC Catch2::Catch2)

function(rxpool_test name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE rxpool_catch_main ${arg_LIBS})
  # Test code itself need not be fast; what it tests is built as it ships.
  target_compile_options(${name} PRIVATE -O1)
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)  # tests of one name in several files
  add_test(NAME ${name} COMMAND ${name})
endfunction()
