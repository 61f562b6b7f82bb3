#include "process/service_environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvcache::config {
namespace {

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr pid_t self = 41;

service_environment read(std::vector<const char*> variables) {
  variables.push_back(nullptr);
  return read_service_environment(variables.data(), self);
}

TEST(service_environment, of_a_process_without_a_service_manager_is_empty) {
  const service_environment found = read({"PATH=/bin", "NOTIFY_SOCKETS=/x", "LISTEN_FDS"});
  EXPECT_EQ(found.notify_socket, "");
  EXPECT_FALSE(found.watchdog_timeout);
  EXPECT_EQ(found.passed_sockets, 0);
  EXPECT_EQ(found.fault, "");
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(service_environment, names_a_socket_by_its_path_or_by_its_abstract_name) {
  EXPECT_EQ(read({"NOTIFY_SOCKET=/run/systemd/notify"}).notify_socket, "/run/systemd/notify");
  EXPECT_EQ(read({"NOTIFY_SOCKET=@/org/notify"}).notify_socket, "@/org/notify");
}

TEST(service_environment, warns_of_a_socket_that_it_cannot_address) {
  const std::string too_long = "NOTIFY_SOCKET=/" + std::string(107, 'x');
  for (const char* wrong : {"NOTIFY_SOCKET=vsock:2:1234", "NOTIFY_SOCKET=relative",
                            "NOTIFY_SOCKET=@", "NOTIFY_SOCKET=/", too_long.c_str()}) {
    const service_environment found = read({wrong});
    EXPECT_EQ(found.notify_socket, "") << wrong;
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("NOTIFY_SOCKET"))) << wrong;
  }
  EXPECT_THAT(read({"NOTIFY_SOCKET="}).warnings, IsEmpty());
}

TEST(service_environment, has_the_watchdog_of_this_process_only) {
  EXPECT_EQ(read({"WATCHDOG_USEC=30000000"}).watchdog_timeout, microseconds{30'000'000});
  EXPECT_EQ(read({"WATCHDOG_USEC=7", "WATCHDOG_PID=41"}).watchdog_timeout, microseconds{7});
  EXPECT_FALSE(read({"WATCHDOG_USEC=7", "WATCHDOG_PID=42"}).watchdog_timeout);
  EXPECT_FALSE(read({"WATCHDOG_PID=41"}).watchdog_timeout);
}

TEST(service_environment, warns_of_a_watchdog_without_a_valid_time) {
  for (const char* wrong : {"WATCHDOG_USEC=0", "WATCHDOG_USEC=-1", "WATCHDOG_USEC=1s",
                            "WATCHDOG_USEC=99999999999999999999"}) {
    const service_environment found = read({wrong});
    EXPECT_FALSE(found.watchdog_timeout) << wrong;
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("WATCHDOG_USEC"))) << wrong;
  }
}

TEST(service_environment, has_the_sockets_of_this_process_only) {
  EXPECT_EQ(read({"LISTEN_FDS=1", "LISTEN_PID=41"}).passed_sockets, 1);
  EXPECT_EQ(read({"LISTEN_FDS=1", "LISTEN_PID=42"}).passed_sockets, 0);
  EXPECT_EQ(read({"LISTEN_FDS=1", "LISTEN_PID=x"}).passed_sockets, 0);
  EXPECT_EQ(read({"LISTEN_FDS=1"}).passed_sockets, 0);
  EXPECT_EQ(read({"LISTEN_FDS=0", "LISTEN_PID=41"}).passed_sockets, 0);
}

TEST(service_environment, does_not_guess_the_number_of_sockets) {
  for (const char* wrong : {"LISTEN_FDS=one", "LISTEN_FDS=-1", "LISTEN_FDS=1 "}) {
    EXPECT_THAT(read({wrong, "LISTEN_PID=41"}).fault, HasSubstr("LISTEN_FDS")) << wrong;
    EXPECT_EQ(read({wrong, "LISTEN_PID=42"}).fault, "") << wrong;
  }
}

} // namespace
} // namespace kvcache::config
