// Prints the /metrics body of a made-up moment, for promtool to judge.
#include <iostream>

#include "report/prometheus_text.hpp"
#include "report/sample_snapshot.hpp"

int main() {
  std::cout << kvcache::observe::prometheus_text(kvcache::observe::sample_snapshot());
  return std::cout.flush() ? 0 : 1;
}
