// What keeps other sites' pages, in a browser on this machine, from calling
// lossd.
#ifndef LOSSD_SERVER_HTTP_SAME_ORIGIN_H_
#define LOSSD_SERVER_HTTP_SAME_ORIGIN_H_

#include <string_view>

#include "absl/status/status.h"

namespace lossd::http {

// Fails for a request that a browser made for a page of another origin.
//
// `host`, `origin`: the headers; empty where there is none. An Origin has to be
// http://HOST or https://HOST; where `only_local` the Host has to be an IP
// address, localhost or a name below it: any other is a name that somebody made
// point to this machine.
//
// Errors: PermissionDenied.
absl::Status CheckSameOrigin(std::string_view host, std::string_view origin,
                             bool only_local);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_SAME_ORIGIN_H_
