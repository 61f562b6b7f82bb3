// What a client may do.
#pragma once

#include <cstdint>

namespace kvcache::http {

// What a request needs, or what its token grants. Ordered: each level includes those before it.
enum class permission : std::uint8_t { none, read, write };

} // namespace kvcache::http
