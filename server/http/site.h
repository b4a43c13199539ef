// The pages that people open in a browser: the playground.
#ifndef LOSSD_SERVER_HTTP_SITE_H_
#define LOSSD_SERVER_HTTP_SITE_H_

#include <httplib.h>

#include <string_view>

#include "server/http/assets.h"

namespace lossd::http {

// What is at `path`: the playground's index.html at /, all of its files at
// /playground/NAME, and /v1/openapi.json. Null: nothing.
const Asset* AssetAt(std::string_view path);

// Browsers may keep it, and ask each time whether it still is what it was. A
// page may load nothing from elsewhere, run no script but files from here, and
// be framed by nobody.
void ServeAsset(const Asset& asset, const httplib::Request& request,
                httplib::Response& response);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_SITE_H_
