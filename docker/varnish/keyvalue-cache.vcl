# Varnish in front of the cache. Its built-in rules store no response with no-store, and forward the
# Host of the client, which the cache compares with Origin if a browser sends no Sec-Fetch-Site. A rule that
# sets req.http.Host or bereq.http.Host breaks that.
vcl 4.1;

backend keyvalue_cache {
    .host = "127.0.0.1";
    .port = "7171";
}

sub vcl_recv {
    # Exposes only the endpoints for applications.
    if (req.url !~ "^/((get|put|delete|batch|openapi\.json)(\?|$)|kv/)") {
        return (synth(404));
    }
    # Varnish evaluates If-None-Match itself, but not If-Match.
    if (req.http.If-Match) {
        return (pass);
    }
}

# Values under /kv/ are kept, and revalidated by their ETag for each request: never stale, and not transferred
# again while they are the same. Without this, the built-in rules do not keep them.
sub vcl_backend_response {
    if (bereq.url ~ "^/kv/" && beresp.http.Cache-Control == "no-cache" && beresp.http.ETag) {
        set beresp.ttl = 0s;
        set beresp.grace = 0s;
        set beresp.keep = 1h;
        return (deliver);
    }
}
