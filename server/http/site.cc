#include "server/http/site.h"

#include <string>

#include "server/http/assets.h"

namespace lossd::http {
namespace {

constexpr int kNotModified = 304;
constexpr char kIndex[] = "playground/index.html";
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void ServeAsset(const Asset& asset, const httplib::Request& request,
                httplib::Response& response) {
  const std::string etag(asset.etag);
  response.set_header("ETag", etag);
  response.set_header("Cache-Control", "no-cache");
  response.set_header("Content-Security-Policy", kPolicy);
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("Cross-Origin-Resource-Policy", "same-origin");
  if (request.get_header_value("If-None-Match") == etag) {
    response.status = kNotModified;
    return;
  }
  response.set_content(asset.bytes.data(), asset.bytes.size(),
                       std::string(asset.content_type));
}

}  // namespace

void AddSite(httplib::Server& server) {
  for (const Asset& asset : Assets()) {
    const auto serve = [&asset](const auto& request, auto& response) {
      ServeAsset(asset, request, response);
    };
    const std::string path = asset.path == "openapi.json"
                                 ? "/v1/openapi\\.json"
                                 : "/" + std::string(asset.path);
    server.Get(path, serve);
    if (asset.path == kIndex) server.Get("/", serve);
  }
}

}  // namespace lossd::http
