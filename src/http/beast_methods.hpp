// The methods that the service knows, by Beast's names.
#pragma once

#include <array>
#include <cstddef>
#include <ostream> // which verb.hpp needs

#include <boost/beast/http/verb.hpp>

#include "http/request.hpp"

namespace kvcache::http {

constexpr method method_of(boost::beast::http::verb name) noexcept {
  using boost::beast::http::verb;
  constexpr std::array methods{method::other, method::del, method::get,   method::head,
                               method::post,  method::put, method::other, method::options};
  static_assert(verb::delete_ == verb{1} && verb::get == verb{2} && verb::head == verb{3} &&
                verb::post == verb{4} && verb::put == verb{5} && verb::options == verb{7});
  const auto index = static_cast<std::size_t>(name);
  return index < methods.size() ? methods[index] : method::other;
}

} // namespace kvcache::http
