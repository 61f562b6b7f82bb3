# cmake -DSOURCE_DIR=src/page -DGZIP=/bin/gzip -DOUTPUT=live_page.cpp -P assemble.cmake
#
# Puts page.css and page.js into page.html, in place of @STYLE@ and @SCRIPT@, and writes the document, its
# compressed form, their entity tags and the Content-Security-Policy as C++. The policy allows the style and the
# script by their SHA-256, which browsers compute of the text between the tags.
set(size_limit 61440)

# The base64 of 32 bytes that are given as hexadecimal digits.
function(base64_of_digest hex result)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  set(text "")
  string(APPEND hex "00") # 33 bytes, in groups of three
  foreach(group RANGE 10)
    math(EXPR at "${group} * 6")
    string(SUBSTRING ${hex} ${at} 6 digits)
    foreach(shift 18 12 6 0)
      math(EXPR index "(0x${digits} >> ${shift}) & 63")
      string(SUBSTRING ${alphabet} ${index} 1 letter)
      string(APPEND text ${letter})
    endforeach()
  endforeach()
  string(SUBSTRING "${text}" 0 43 text)
  set(${result} "${text}=" PARENT_SCOPE)
endfunction()

function(bytes_of file result)
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  set(${result} "${bytes}" PARENT_SCOPE)
endfunction()

file(READ ${SOURCE_DIR}/page.html document)
foreach(part STYLE SCRIPT)
  string(FIND "${document}" "@${part}@" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "page.html has no @${part}@")
  endif()
endforeach()
file(READ ${SOURCE_DIR}/page.css style)
file(READ ${SOURCE_DIR}/page.js script)
string(SHA256 style_digest "${style}")
string(SHA256 script_digest "${script}")
base64_of_digest(${style_digest} style_hash)
base64_of_digest(${script_digest} script_hash)
string(REPLACE "@STYLE@" "${style}" document "${document}")
string(REPLACE "@SCRIPT@" "${script}" document "${document}")

file(WRITE ${OUTPUT}.html "${document}")
file(SIZE ${OUTPUT}.html size)
if(size GREATER size_limit)
  message(FATAL_ERROR "the page has ${size} bytes, more than ${size_limit}")
endif()
execute_process(COMMAND ${GZIP} -9 -n -c ${OUTPUT}.html OUTPUT_FILE ${OUTPUT}.html.gz COMMAND_ERROR_IS_FATAL ANY)
bytes_of(${OUTPUT}.html plain)
bytes_of(${OUTPUT}.html.gz compressed)
string(SHA256 tag "${document}")
string(SUBSTRING ${tag} 0 16 tag)

file(WRITE ${OUTPUT} "// Made by assemble.cmake.
#include \"page/live_page.hpp\"

namespace kvcache::page {

namespace {

constexpr char plain[] = {${plain}};
constexpr char compressed[] = {${compressed}};

} // namespace

extern constinit const live_page document{
    {plain, sizeof plain},
    {compressed, sizeof compressed},
    \"\\\"${tag}\\\"\",
    \"\\\"${tag}-gzip\\\"\",
    \"default-src 'none'; style-src 'sha256-${style_hash}'; script-src 'sha256-${script_hash}'; img-src data:; \"
    \"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\"};

} // namespace kvcache::page
")
