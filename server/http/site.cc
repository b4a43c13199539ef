#include "server/http/site.h"

#include <string>
namespace lossd::http {
namespace {

constexpr int kNotModified = 304;
constexpr std::string_view kPlayground = "/playground/";
constexpr char kIndex[] = "playground/index.html";
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

const Asset* AssetAt(std::string_view path) {
  if (path == "/") return FindAsset(kIndex);
  if (path == "/v1/openapi.json") return FindAsset("openapi.json");
  if (!path.starts_with(kPlayground)) return nullptr;
  return FindAsset(path.substr(1));
}

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

}  // namespace lossd::http
