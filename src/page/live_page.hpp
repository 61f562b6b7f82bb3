// The page that browsers get from GET /. It is one document with its style and script: page.html,
// page.css and page.js, put together by the build.
#pragma once

#include <string_view>

namespace kvcache::page {

struct live_page {
  std::string_view html;
  std::string_view gzip;     // the same, compressed
  std::string_view html_tag; // strong entity tags (RFC 9110 §8.8.3), with the quotes
  std::string_view gzip_tag;
  std::string_view policy; // the Content-Security-Policy: allows its own style and script only
};

extern const live_page document;

} // namespace kvcache::page
