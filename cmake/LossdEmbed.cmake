# lossd_embed(TARGET ROOT FILES...): compiles FILES into TARGET as the table that
# server/http/assets.h declares, each under its path from ROOT. A changed file is
# embedded anew by the next build.
#
# As a script (cmake -P, which is how the build runs it) it writes that table's source.
set(LOSSD_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(lossd_embed target root)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${target}_assets.cc)
  # A list in one argument: semicolons would split it on the way.
  string(REPLACE ";" "|" files "${ARGN}")
  add_custom_command(
      OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DROOT=${root} -DFILES=${files} -DOUTPUT=${output}
              -P ${LOSSD_EMBED_SCRIPT}
      DEPENDS ${ARGN} ${LOSSD_EMBED_SCRIPT}
      COMMENT "Embedding the files that HTTP serves" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(type_json "application/json")

set(arrays "")
set(entries "")
set(index 0)
string(REPLACE "|" ";" FILES "${FILES}")
foreach(file IN LISTS FILES)
  file(RELATIVE_PATH path ${ROOT} ${file})
  string(REGEX REPLACE "^.*\\." "" extension ${file})
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${path}: no content type for .${extension}")
  endif()
  file(SHA256 ${file} hash)
  file(READ ${file} hex HEX)
  # After the bytes a zero, so that an empty file makes no empty array.
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND arrays "constexpr char kBytes${index}[] = {${bytes}0};\n")
  string(APPEND entries
         "    {\"${path}\", \"${type_${extension}}\", \"\\\"${hash}\\\"\",\n"
         "     {kBytes${index}, sizeof(kBytes${index}) - 1}},\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made by cmake/LossdEmbed.cmake.
#include \"server/http/assets.h\"

namespace lossd::http {
namespace {

${arrays}
constexpr Asset kAssets[] = {
${entries}};

}  // namespace

std::span<const Asset> Assets() { return kAssets; }

}  // namespace lossd::http
")
