# cmake -DSOURCE_DIR=... -DOUTPUT=revision.cpp [-DREVISION=...] -P revision.cmake
#
# Writes the source of revision.hpp: REVISION, else what git says of SOURCE_DIR, else "unknown". A file
# that would stay the same is not touched, so nothing is linked in vain.
if(NOT REVISION)
  # safe.directory: a checkout that belongs to somebody else has a revision, too.
  execute_process(
    COMMAND git -c safe.directory=* rev-parse --verify --quiet HEAD
    WORKING_DIRECTORY ${SOURCE_DIR}
    OUTPUT_VARIABLE REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
endif()
if(failed OR NOT REVISION MATCHES "^[0-9A-Za-z._-]+$")
  set(REVISION unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "revision.hpp"

namespace kvcache {

const std::string_view revision = "@REVISION@";

} // namespace kvcache
]] @ONLY)
