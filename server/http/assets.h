// The files that HTTP serves, compiled into the program
// (cmake/LossdEmbed.cmake).
#ifndef LOSSD_SERVER_HTTP_ASSETS_H_
#define LOSSD_SERVER_HTTP_ASSETS_H_

#include <span>
#include <string_view>

namespace lossd::http {

struct Asset {
  std::string_view path;  // from server/http, as in "playground/index.html"
  std::string_view content_type;
  std::string_view etag;  // quoted; another one for other bytes
  std::string_view bytes;
};

// All of them, in the order of their paths.
std::span<const Asset> Assets();

// Null: there is none.
inline const Asset* FindAsset(std::string_view path) {
  for (const Asset& asset : Assets()) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_ASSETS_H_
