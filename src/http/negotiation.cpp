#include "http/negotiation.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "http/ascii.hpp"
#include "http/field_lines.hpp"

namespace kvcache::http {
namespace {

// Of an element of a list: 0 to 1000 thousandths (§12.4.2).
using weight = unsigned;
constexpr weight full_weight = 1000;

// "0.5", "1", "1.000"
std::optional<weight> read_weight(std::string_view text) noexcept {
  constexpr std::size_t longest = 5;
  if (text.empty() || text.size() > longest || (text.front() != '0' && text.front() != '1'))
    return std::nullopt;
  weight read = text.front() == '1' ? full_weight : 0;
  text.remove_prefix(1);
  if (text.empty()) return read;
  if (text.front() != '.') return std::nullopt;
  weight of_digit = full_weight / 10;
  for (const char digit : text.substr(1)) {
    if (!is_decimal(digit)) return std::nullopt;
    read += of_digit * static_cast<weight>(digit - '0');
    of_digit /= 10;
  }
  return read <= full_weight ? std::optional{read} : std::nullopt;
}

// Calls `visit(name, weight)` for each element of all lines of the field. Parameters other than
// the weight are ignored.
template <class Visitor>
void visit_rated(std::string_view head, std::string_view field, Visitor visit) noexcept {
  visit_lines(head, field, [&](std::string_view list) {
    while (!list.empty()) {
      std::string_view parameters = next_element(list);
      std::size_t end = parameters.find(';');
      const std::string_view name = trimmed(parameters.substr(0, end));
      std::optional<weight> rated = full_weight;
      while (end != std::string_view::npos && rated) {
        parameters.remove_prefix(end + 1);
        end = parameters.find(';');
        const std::string_view parameter = trimmed(parameters.substr(0, end));
        if (parameter.size() >= 2 && to_lower(parameter[0]) == 'q' && parameter[1] == '=')
          rated = read_weight(parameter.substr(2));
      }
      if (!name.empty() && rated) visit(name, *rated);
    }
    return true;
  });
}

// The weight of what several elements may name: that of the most precise one.
class rating {
public:
  void add(unsigned precision, weight rated) noexcept {
    if (precision < precision_) return;
    rated_ = precision == precision_ ? std::max(rated_, rated) : rated;
    precision_ = precision;
  }
  weight value() const noexcept { return rated_; }

private:
  unsigned precision_ = 0; // 0: no element names it
  weight rated_ = 0;
};

constexpr unsigned by_wildcard = 1;
constexpr unsigned by_type = 2; // "text/*"
constexpr unsigned by_name = 3;

} // namespace

bool prefers_html(std::string_view head) noexcept {
  rating html;
  rating json;
  visit_rated(head, "accept", [&](std::string_view range, weight rated) {
    if (range == "*/*") {
      html.add(by_wildcard, rated);
      json.add(by_wildcard, rated);
    } else if (equal_ignoring_case(range, "text/*")) {
      html.add(by_type, rated);
    } else if (equal_ignoring_case(range, "application/*")) {
      json.add(by_type, rated);
    } else if (equal_ignoring_case(range, "text/html")) {
      html.add(by_name, rated);
    } else if (equal_ignoring_case(range, "application/json")) {
      json.add(by_name, rated);
    }
  });
  return html.value() > json.value();
}

bool prefers_gzip(std::string_view head) noexcept {
  rating gzip;
  rating identity;
  visit_rated(head, "accept-encoding", [&](std::string_view coding, weight rated) {
    if (coding == "*")
      gzip.add(by_wildcard, rated);
    else if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip"))
      gzip.add(by_name, rated);
    else if (equal_ignoring_case(coding, "identity"))
      identity.add(by_name, rated);
  });
  return gzip.value() != 0 && gzip.value() >= identity.value();
}

} // namespace kvcache::http
