# Varnish in front of the cache. Its built-in rules do the rest: what says no-store is not stored, and
# the Host that the client sent is passed on, which the cache compares with Origin where a browser
# sends no Sec-Fetch-Site. A rule that sets req.http.Host or bereq.http.Host breaks that.
vcl 4.1;

backend keyvalue_cache {
    .host = "127.0.0.1";
    .port = "7171";
}

sub vcl_recv {
    # The inside stays in: only the endpoints of applications.
    if (req.url !~ "^/(get|put|delete|openapi\.json)(\?|$)") {
        return (synth(404));
    }
}
