# Varnish in front of the cache. Its built-in rules do not store responses with no-store, and forward the
# Host of the client, which the cache compares with Origin if a browser sends no Sec-Fetch-Site. A rule that
# sets req.http.Host or bereq.http.Host breaks that.
vcl 4.1;

backend keyvalue_cache {
    .host = "127.0.0.1";
    .port = "7171";
}

sub vcl_recv {
    # Exposes only the endpoints for applications.
    if (req.url !~ "^/(get|put|delete|openapi\.json)(\?|$)") {
        return (synth(404));
    }
}
