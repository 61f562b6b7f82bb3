// Operations like those of the service, for tests without it.
#pragma once

#include <array>

#include "metrics/operation.hpp"

namespace kvcache::observe {

inline constexpr std::array<operation_info, 12> sample_operations{{{"options"},
                                                                   {"unknown"},
                                                                   {"none"},
                                                                   {"get", store_access::get},
                                                                   {"put", store_access::put},
                                                                   {"delete", store_access::erase},
                                                                   {"flush", store_access::flush},
                                                                   {"healthz"},
                                                                   {"readyz"},
                                                                   {"stats"},
                                                                   {"metrics"},
                                                                   {"openapi"}}};

enum sample_operation : operation_id {
  sample_get = 3,
  sample_put,
  sample_delete,
  sample_flush,
  sample_healthz,
  sample_readyz
};

} // namespace kvcache::observe
