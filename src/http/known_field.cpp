#include "http/known_field.hpp"

#include <array>
#include <ostream> // which field.hpp needs

#include <boost/beast/http/field.hpp>

namespace kvcache::http {
namespace {

using boost::beast::http::field;

// In the order of known_field.
constexpr std::array names{field::host,           field::origin,
                           field::sec_fetch_site, field::authorization,
                           field::if_match,       field::if_none_match,
                           field::content_type,   field::content_range,
                           field::content_length, field::transfer_encoding,
                           field::connection,     field::proxy_connection,
                           field::expect,         field::content_encoding,
                           field::accept,         field::accept_encoding};
static_assert(names.size() == static_cast<std::size_t>(known_field::none));

constexpr std::size_t field_count = static_cast<std::size_t>(field::xref) + 1; // the last one

constexpr std::array<known_field, field_count> make_table() {
  std::array<known_field, field_count> table{};
  table.fill(known_field::none);
  for (std::size_t i = 0; i < names.size(); ++i)
    table[static_cast<std::size_t>(names[i])] = static_cast<known_field>(i);
  return table;
}
constexpr std::array<known_field, field_count> table = make_table();

} // namespace

known_field known_field_of(field name) noexcept {
  const auto index = static_cast<std::size_t>(name);
  return index < field_count ? table[index] : known_field::none;
}

} // namespace kvcache::http
