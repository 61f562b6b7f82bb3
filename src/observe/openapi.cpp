#include "observe/openapi.hpp"

namespace kvcache::observe {
namespace {

constexpr char document[] = {
#include "openapi.inc" // made by embed_json.cmake
};

} // namespace

std::string_view openapi_json() noexcept { return {document, sizeof document}; }

} // namespace kvcache::observe
