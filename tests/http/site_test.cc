// The files that lossd has within it, as a browser gets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "server/http/assets.h"
#include "tests/http/http_caller.h"

namespace lossd::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string FileOf(std::string_view path) {
  std::ifstream file(LOSSD_SOURCE_DIR "/server/http/" + std::string(path),
                     std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

class SiteTest : public testing::Test {
 protected:
  httplib::Result Get(const std::string& path,
                      const httplib::Headers& headers = {}) {
    return caller_.client().Get(path, headers);
  }
  HttpCaller caller_;
};

TEST_F(SiteTest, ServesEveryFileToTheByte) {
  EXPECT_NE(FindAsset("playground/index.html"), nullptr);
  for (const Asset& asset : Assets()) {
    const std::string path(asset.path);
    EXPECT_EQ(asset.bytes, FileOf(path)) << path;
    if (!path.starts_with("playground/")) continue;
    const auto result = Get("/" + path);
    ASSERT_TRUE(result) << path;
    EXPECT_EQ(result->status, 200) << path;
    EXPECT_EQ(result->body, asset.bytes) << path;
    EXPECT_EQ(result->get_header_value("Content-Type"), asset.content_type);
  }
}

TEST_F(SiteTest, HasThePlaygroundAtItsRoot) {
  const auto result = Get("/");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->body, FileOf("playground/index.html"));
  EXPECT_EQ(result->get_header_value("Content-Type"),
            "text/html; charset=utf-8");
}

TEST_F(SiteTest, LetsAPageLoadNothingFromElsewhere) {
  const auto result = Get("/");
  ASSERT_TRUE(result);
  const std::string policy =
      result->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("script-src 'self'"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(result->get_header_value("X-Content-Type-Options"), "nosniff");
}

TEST_F(SiteTest, SendsWhatABrowserHasOnlyWhenItChanged) {
  const auto first = Get("/");
  ASSERT_TRUE(first);
  const std::string etag = first->get_header_value("ETag");
  const auto again = Get("/", {{"If-None-Match", etag}});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->status, 304);
  EXPECT_EQ(again->body, "");
  const auto changed = Get("/", {{"If-None-Match", "\"other\""}});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->status, 200);
}

TEST_F(SiteTest, HasNoOtherFile) {
  for (const char* path :
       {"/playground/", "/playground/none.js", "/playground/../openapi.json",
        "/openapi.json", "/index.html"}) {
    const auto result = Get(path);
    ASSERT_TRUE(result) << path;
    EXPECT_EQ(result->status, 404) << path;
  }
}

}  // namespace
}  // namespace lossd::http
