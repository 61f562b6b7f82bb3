// The endpoints of a service, by path and method, and everything derived from their descriptors.
//
// Thread-safety: immutable.
// Ownership: the descriptors outlive the table; the table outlives everything that refers to a
// route.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/endpoint.hpp"

namespace kvcache::http {

// The endpoints of a service and their documentation. Written by the build, from the list in
// CMakeLists.txt (kvcache_endpoints).
struct endpoint_set {
  std::span<const endpoint_group* const> groups;
  std::string_view openapi;     // the OpenAPI 3.1 document, ASCII
  std::string_view openapi_tag; // its strong entity tag (RFC 9110 §8.8.3), with the quotes
};

extern const endpoint_set product_endpoints;

// The endpoint that answers a request, and the names it is counted and logged under.
struct route {
  const endpoint* to = nullptr; // null if no endpoint answers it: OPTIONS, unknown paths
  std::string_view path;        // the endpoint's, with the variable's name; empty for unknown ones
  observe::operation_id operation = observe::unread_operation;
  std::size_t variable_at = std::string_view::npos; // offset of the path's variable

  // If not 0: every path that begins with this many bytes of this one belongs to this route.
  std::size_t fixed_path_bytes = 0;
};

// All endpoints of a path.
struct resource {
  std::string_view path;
  std::string_view fixed;                             // the path, without its variable
  std::array<const route*, method_count> by_method{}; // HEAD: that of GET
  const route* first = nullptr;                       // refusals are counted under it
  route options{};
  std::string allow{}; // the field line

  bool has_variable() const noexcept { return fixed.size() != path.size(); }
};

class endpoint_table {
public:
  // Throws std::invalid_argument if descriptors contradict each other or a path is malformed, and
  // std::bad_alloc.
  explicit endpoint_table(const endpoint_set& set);
  endpoint_table(const endpoint_table&) = delete;
  endpoint_table& operator=(const endpoint_table&) = delete;

  // Null if there is no such path. A path without variable is preferred to one with.
  const resource* find(std::string_view path) const noexcept;

  // The route under which a refusal of a request for this path is counted.
  const route& route_of(std::string_view path, method verb) const noexcept;

  static const route& unknown() noexcept;  // paths that do not exist
  static const route& unread() noexcept;   // requests that could not be read
  static const route& asterisk() noexcept; // OPTIONS *

  std::string_view allow_all() const noexcept { return allow_all_; } // of OPTIONS *

  std::span<const route> routes() const noexcept { return routes_; }
  std::span<const observe::operation_info> operations() const noexcept { return operations_; }
  const endpoint_set& set() const noexcept { return set_; }

private:
  void add(const endpoint& added);

  const endpoint_set& set_;
  std::vector<route> routes_;
  std::deque<resource> resources_; // pointers to them stay valid
  std::vector<observe::operation_info> operations_;
  std::string allow_all_;
};

} // namespace kvcache::http
