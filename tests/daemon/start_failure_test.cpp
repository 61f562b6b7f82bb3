#include "daemon/start_failure.hpp"

#include <gtest/gtest.h>

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

namespace kvcache::daemon {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(start_failure, of_listening_names_address_cause_and_remedy) {
  struct {
    int error;
    const char *cause, *way_out;
  } const failures[] = {
      {EADDRINUSE, "Address already in use", "another --port"},
      {EACCES, "Permission denied", "CAP_NET_BIND_SERVICE"},
      {EADDRNOTAVAIL, "Cannot assign requested address", "correct --bind"},
      {EAFNOSUPPORT, "Address family not supported", "another --bind"},
      {EMFILE, "Too many open files", "ulimit -n"},
      {ENFILE, "Too many open files in system", "raise it"},
  };
  for (const auto& each : failures) {
    const std::string text = explain_listen_failure("127.0.0.1:80", each.error);
    EXPECT_TRUE(text.starts_with("cannot listen on 127.0.0.1:80: " + std::string{each.cause}))
        << text;
    EXPECT_TRUE(holds(text, each.way_out)) << text;
  }
  EXPECT_EQ(explain_listen_failure("a", ENOBUFS), "cannot listen on a: No buffer space available");
}

TEST(start_failure, of_a_thread_names_the_limit_reached) {
  thread_limits limits{.needed = 9};
  EXPECT_TRUE(holds(explain_thread_failure(limits), "kernel.threads-max"));
  limits.memory = std::uint64_t{64} << 20;
  EXPECT_TRUE(holds(explain_thread_failure(limits), "(ulimit -v) is 65536 KiB"));
  limits.user = 30;
  EXPECT_TRUE(holds(explain_thread_failure(limits), "(ulimit -u) is 30"));
  limits.group = {.most = 10, .present = 2, .file = "/sys/fs/cgroup/pids.max"};
  EXPECT_EQ(explain_thread_failure(limits),
            "cannot start 9 threads: the limit of processes in /sys/fs/cgroup/pids.max is 10; "
            "raise it or lower --threads");
  limits.group->most = 1000; // not reached
  EXPECT_TRUE(holds(explain_thread_failure(limits), "(ulimit -u)"));
}

TEST(start_failure, is_recognised_by_the_error_code_of_either_library) {
  const std::system_error standard{EAGAIN, std::generic_category()};
  const boost::system::system_error boost{
      boost::system::error_code{EAGAIN, boost::system::system_category()}, "thread"};
  for (const std::exception* each :
       {static_cast<const std::exception*>(&standard), static_cast<const std::exception*>(&boost)})
    EXPECT_TRUE(explain_start_failure(*each, 2).starts_with("cannot start 9 threads: "));
  const std::system_error files{EMFILE, std::generic_category(), "eventfd"};
  EXPECT_TRUE(holds(explain_start_failure(files, 2), "eventfd: Too many open files: the limit"));
  EXPECT_TRUE(holds(explain_start_failure(std::bad_alloc{}, 2), "refuses memory"));
  EXPECT_EQ(explain_start_failure(std::runtime_error{"as it is"}, 2), "as it is");
}

} // namespace
} // namespace kvcache::daemon
