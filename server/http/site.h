// The pages that people open in a browser: the playground.
#ifndef LOSSD_SERVER_HTTP_SITE_H_
#define LOSSD_SERVER_HTTP_SITE_H_

#include <httplib.h>

namespace lossd::http {

// Serves the playground: its index.html at /, all of its files at
// /playground/NAME; and /v1/openapi.json. Browsers may keep them, and ask each
// time whether they still are what they were. A page may load nothing from
// elsewhere, run no script but its own files, and be framed by nobody.
void AddSite(httplib::Server& server);

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_SITE_H_
