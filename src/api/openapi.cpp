#include "api/openapi.hpp"

namespace kvcache::observe {
namespace {

constexpr char document[] = {
#include "openapi.inc" // made by embed_json.cmake
};

constexpr std::string_view tag =
#include "openapi_tag.inc" // likewise
    ;

} // namespace

std::string_view openapi_json() noexcept { return {document, sizeof document}; }

std::string_view openapi_tag() noexcept { return tag; }

} // namespace kvcache::observe
