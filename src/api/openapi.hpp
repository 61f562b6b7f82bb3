// The body of GET /openapi.json: the OpenAPI 3.1 document of every endpoint. It is written in
// openapi.json beside this file and embedded by the build; the version is filled in there.
#pragma once

#include <string_view>

namespace kvcache::observe {

// ASCII only. The view is good for ever.
std::string_view openapi_json() noexcept;

// Its strong entity tag (RFC 9110 §8.8.3), with the quotes: another document has another one.
std::string_view openapi_tag() noexcept;

} // namespace kvcache::observe
