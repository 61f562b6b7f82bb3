// The permissions of clients.
#pragma once

#include <cstdint>

namespace kvcache::http {

// The permission that a request needs, or that its token grants. Each level includes those before
// it.
enum class permission : std::uint8_t { none, read, write };

} // namespace kvcache::http
