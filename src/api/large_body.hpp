// The body of a response that is sent from where it is stored.
#pragma once

#include <string_view>

#include "kvcache/entry_view.hpp"

namespace kvcache::http {

struct large_body {
  pinned_value pin;
  std::string_view bytes; // a part of the pinned ones

  explicit operator bool() const noexcept { return static_cast<bool>(pin); }
};

} // namespace kvcache::http
