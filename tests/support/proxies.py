"""The shipped configurations of proxies, on the ports of a test, and nginx."""

import pathlib

INTERNAL = ("/metrics", "/stats", "/healthz", "/readyz", "/flush", "/snapshot", "/", "/getx", "/x/get")
DOCKER = pathlib.Path(__file__).resolve().parents[2] / "docker"


def application_requests(document):
    """Method and target of each endpoint that a proxy exposes, by OpenAPI: no key, no body, so the cache returns 400."""
    return [(method.upper(), path.replace("{key}", "")) for path, operations in document["paths"].items()
            for method in operations if path not in INTERNAL and path != "/openapi.json"]


def snippet(path, port, cache_port):
    """The shipped file, with the ports of this test instead of 8080 and 7171."""
    text = (DOCKER / path).read_text()
    assert "7171" in text, path
    return text.replace("8080", f"127.0.0.1:{port}" if "nginx" in path else str(port)).replace("7171", str(cache_port))


class Nginx:
    program = "nginx"

    @staticmethod
    def command(folder, site):
        places = "".join(f"    {kind}_temp_path {folder}/{kind};\n"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = folder / "nginx.conf"
        main.write_text(f"daemon off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
                        f"http {{\n    access_log off;\n{places}{site}\n}}\n")
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]

    @staticmethod
    def configured(folder, port, cache_port):
        return Nginx.command(folder, snippet("nginx/keyvalue-cache.conf", port, cache_port))

    @staticmethod
    def with_pages(folder, port, cache_port, pages):
        """The shipped file, and beside the cache a folder of HTML pages, on the same origin."""
        site = snippet("nginx/keyvalue-cache.conf", port, cache_port)
        place = f"location /pages/ {{ alias {pages}/; default_type text/html; }}\n\n    "
        assert "location / {" in site
        return Nginx.command(folder, site.replace("location / {", place + "location / {"))

    @staticmethod
    def unconfigured(folder, port, cache_port):
        """With a cache of the proxy."""
        return Nginx.command(folder, f"""
            proxy_cache_path {folder}/stored keys_zone=stored:1m;
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://127.0.0.1:{cache_port};
                    proxy_cache stored;
                    proxy_cache_valid any 1h;
                }}
            }}""")
