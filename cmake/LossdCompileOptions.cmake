# lossd::compile_options: what every target of this project is built with.
# Generated code does not link it.
add_library(lossd_compile_options INTERFACE)
add_library(lossd::compile_options ALIAS lossd_compile_options)
# No -march: instruction sets are chosen at run time. Includes go from the root.
target_compile_options(lossd_compile_options INTERFACE -Wall -Wextra -Werror)
# GCC 12 sees overlaps in `"text" + std::string()` at -O3 (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(lossd_compile_options
                         INTERFACE $<$<CONFIG:Release>:-Wno-restrict>)
endif()
target_include_directories(lossd_compile_options
                           INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)

if(LOSSD_SANITIZE)
  add_compile_options(-fsanitize=${LOSSD_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LOSSD_SANITIZE})
  if(LOSSD_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  # GCC's own advice: instrumented code makes it warn of what is not there. What
  # ships has no warnings.
  target_compile_options(lossd_compile_options INTERFACE -Wno-error)
  # One instruction set: instrumented kernels take minutes each to compile, and
  # are the same templates for all of them. The release build's tests put guard
  # bytes around what each of them reads and writes.
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    add_compile_options(-march=haswell -maes -ffp-contract=off)
    add_compile_definitions(HWY_COMPILE_ONLY_STATIC)
  endif()
endif()
