#include "api/endpoint_table.hpp"

#include <algorithm>
#include <stdexcept>

namespace kvcache::http {

namespace {

std::size_t index_of(method verb) noexcept { return static_cast<std::size_t>(verb); }

[[noreturn]] void reject(const endpoint& wrong, const char* why) {
  throw std::invalid_argument{"endpoint " + std::string{wrong.path} + ": " + why};
}

// The path without its variable.
std::string_view fixed_part(const endpoint& of) {
  if (!of.path.starts_with('/')) reject(of, "a path begins with a slash");
  const std::size_t open = of.path.find('{');
  if (open == std::string_view::npos) return of.path;
  if (of.path[open - 1] != '/' || of.path.find('}') != of.path.size() - 1)
    reject(of, "a variable stands for all of the path behind a slash");
  return of.path.substr(0, open);
}

std::string allow_line(const std::array<bool, method_count>& methods) {
  std::string line = "Allow: ";
  for (std::size_t i = 0; i < methods.size(); ++i)
    if (methods[i]) line.append(name_of(static_cast<method>(i))).append(", ");
  return line.append("OPTIONS\r\n");
}

} // namespace

endpoint_table::endpoint_table(const endpoint_set& set)
    : set_(set), operations_(observe::common_operations.begin(), observe::common_operations.end()) {
  std::size_t count = 0;
  for (const endpoint_group* group : set.groups) count += group->size();
  routes_.reserve(count); // pointers to them stay valid
  for (const endpoint_group* group : set.groups)
    for (const endpoint& each : *group) add(each);
  for (route& each : routes_) {
    if (each.variable_at == std::string_view::npos) continue;
    const std::string_view fixed = each.path.substr(0, each.variable_at);
    const auto below = [fixed](const resource& r) { return r.fixed.starts_with(fixed); };
    if (std::ranges::count_if(resources_, below) == 1) each.fixed_path_bytes = fixed.size();
  }
  std::array<bool, method_count> any{};
  for (resource& each : resources_) {
    std::array<bool, method_count> methods{};
    for (std::size_t i = 0; i < method_count; ++i) {
      methods[i] = each.by_method[i] != nullptr;
      any[i] = any[i] || methods[i];
    }
    each.allow = allow_line(methods);
  }
  allow_all_ = allow_line(any);
}

void endpoint_table::add(const endpoint& added) {
  const std::string_view fixed = fixed_part(added);
  if (added.handle == nullptr) reject(added, "no handler");
  if (added.verb == method::head || added.verb == method::options || added.verb == method::other)
    reject(added, "a method that follows from others, or is none");
  if (operations_.size() == observe::operations_most) reject(added, "too many operations");
  for (const observe::operation_info& each : operations_)
    if (each.name == added.operation.name) reject(added, "its operation is another endpoint's");
  auto at = std::ranges::find(resources_, added.path, &resource::path);
  if (at == resources_.end()) {
    at = resources_.emplace(resources_.end());
    at->path = added.path;
    at->fixed = fixed;
    at->options = {nullptr, added.path, observe::options_operation};
  }
  const auto id = static_cast<observe::operation_id>(operations_.size());
  operations_.push_back(added.operation);
  routes_.push_back(
      {&added, added.path, id, at->has_variable() ? fixed.size() : std::string_view::npos});
  const route*& place = at->by_method[index_of(added.verb)];
  if (place != nullptr) reject(added, "the method is another endpoint's");
  place = &routes_.back();
  if (added.verb == method::get) at->by_method[index_of(method::head)] = place;
  if (at->first == nullptr) at->first = place;
}

const resource* endpoint_table::find(std::string_view path) const noexcept {
  const resource* found = nullptr;
  for (const resource& each : resources_) {
    if (each.path == path && !each.has_variable()) return &each;
    if (each.has_variable() && path.starts_with(each.fixed)) found = &each;
  }
  return found;
}

const route& endpoint_table::route_of(std::string_view path, method verb) const noexcept {
  const resource* at = find(path);
  if (at == nullptr) return unknown();
  const route* const found = at->by_method[index_of(verb)];
  return found != nullptr ? *found : *at->first;
}

const route& endpoint_table::unknown() noexcept {
  static constexpr route none{nullptr, {}, observe::unknown_operation};
  return none;
}

const route& endpoint_table::unread() noexcept {
  static constexpr route none{nullptr, {}, observe::unread_operation};
  return none;
}

const route& endpoint_table::asterisk() noexcept {
  static constexpr route all{nullptr, {}, observe::options_operation};
  return all;
}

} // namespace kvcache::http
