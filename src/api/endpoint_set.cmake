# cmake -DNAME=x_endpoints -DFILES=a/get,b/put -DDOCUMENT=openapi.json -DPROJECT_VERSION=1.2.3 -DOUTPUT=x.cpp
#   -P endpoint_set.cmake
#
# Writes the definition of an endpoint_set (endpoint_table.hpp). Of each of the FILES, <file>.cpp defines
# <its name>_endpoints, and <file>.openapi.json is an object with their path items. These are put between
# the braces of the DOCUMENT's empty "paths". Line breaks and indentation go: a JSON string cannot hold a
# raw line break, so every line break is between tokens. The text becomes the numbers of a char array,
# since a string literal of this length is more than C++ promises to take.
string(REPLACE "," ";" files "${FILES}")
set(declarations)
set(groups)
set(paths)
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  string(APPEND declarations "extern const endpoint_group ${name}_endpoints;\n")
  string(APPEND groups "&${name}_endpoints, ")
  file(READ ${file}.openapi.json fragment)
  if(NOT fragment MATCHES "^{(.*)}[ \n]*$")
    message(FATAL_ERROR "${file}.openapi.json is no JSON object")
  endif()
  if(paths)
    string(APPEND paths ",")
  endif()
  string(APPEND paths "${CMAKE_MATCH_1}")
endforeach()

file(READ ${DOCUMENT} text)
string(FIND "${text}" "\"paths\": {}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${DOCUMENT} has no empty \"paths\"")
endif()
string(REPLACE "\"paths\": {}" "\"paths\": {${paths}}" text "${text}")
string(CONFIGURE "${text}" text @ONLY)
string(REGEX REPLACE "\n *" "" text "${text}")
file(WRITE ${OUTPUT}.openapi.json "${text}")
file(READ ${OUTPUT}.openapi.json bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(SHA256 digest "${text}")
string(SUBSTRING ${digest} 0 16 digest)

file(WRITE ${OUTPUT} "// Made by endpoint_set.cmake.
#include \"api/endpoint_table.hpp\"

namespace kvcache::http {

${declarations}
namespace {

constexpr const endpoint_group* groups[] = {${groups}};

constexpr char document[] = {${bytes}};

} // namespace

extern constinit const endpoint_set ${NAME}{groups, {document, sizeof document}, \"\\\"${digest}\\\"\"};

} // namespace kvcache::http
")
