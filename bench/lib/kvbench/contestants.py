"""The servers that are compared: how each is started, asked and checked."""

import http.client
import json
import os
import shutil
import socket
import sys
import urllib.parse

from . import build, load
from .processes import free_port

FIXED_KEY = "key:" + "0" * 16  # the key wrk.lua uses when keys are fixed; number 0 of bench_load
VALUE_BYTES = 12               # a PUT body of 54 bytes
THREADS = 2
REDIS_OPTIONS = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--protected-mode", "yes"]


def kv_api(value_bytes=VALUE_BYTES):
    return {"get": {"method": "GET", "path": "/get?key={key}"},
            "post": {"method": "POST", "path": "/put", "body": '{"key":"{key}","value":"' + "v" * value_bytes + '"}'}}


def resource_api(value_bytes=VALUE_BYTES):
    """The same by /kv/{key}: values without JSON around them."""
    return {"get": {"method": "GET", "path": "/kv/{key}"},
            "post": {"method": "PUT", "path": "/kv/{key}", "body": "v" * value_bytes, "type": "application/octet-stream"}}


def request_text(request, key=FIXED_KEY):
    """A request as it goes over the wire, with one Host and only the fields it needs."""
    body = request.get("body", "").replace("{key}", key)
    kind = request.get("type", "application/json")
    fields = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    path = request["path"].replace("{key}", key)
    return f"{request['method']} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}"


def raw_reply(port, request):
    """The bytes of the whole reply to a request, of which Content-Length tells the end; a 204 has none."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(request_text(request).encode())
        data, whole = bytearray(), None
        while whole is None or len(data) < whole:
            more = peer.recv(1 << 20)
            if not more:
                raise ConnectionError("the connection ended inside a reply")
            data += more
            if whole is None and (end := data.find(b"\r\n\r\n")) >= 0:
                lengths = [line.split(b":")[1] for line in data[:end].split(b"\r\n")
                           if line.lower().startswith(b"content-length:")]
                whole = end + 4 + (int(lengths[0]) if lengths else 0)
        return bytes(data)


def ask(port, request, key=FIXED_KEY):
    """Status and body of one request, by Python's own HTTP client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    body = request.get("body", "").replace("{key}", key).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(request["method"], request["path"].replace("{key}", urllib.parse.quote(key, safe=":")), body or None, headers)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, text


class Contestant:
    """Base: a server with our own API. Subclasses say what differs."""

    name = ""
    label = ""
    speaks = "http"     # of bench_load
    api = kv_api()      # what wrk sends; None where another protocol is spoken
    stores = True       # False: the answers are fixed
    in_order = True     # False: responses to pipelined requests change places
    programs = ()       # what build.build must make

    def __init__(self):
        self.server = None
        self.reply_bytes = {}  # of each request of `api`, known once it was checked

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def start(self, stage, port):
        self.server = stage.start(self.name, self.command(stage, port), port)

    def command(self, stage, port):
        raise NotImplementedError

    def preload(self, keys, value_bytes=VALUE_BYTES):
        if self.stores:
            load.fill(self.fill_port(), protocol=self.fill_protocol(), keys=keys, value_bytes=value_bytes,
                      threads=1, connections=4, window=64)

    def cpu(self):
        return self.server.cpu()

    def fill_port(self):
        return self.server.port

    def fill_protocol(self):
        return self.speaks

    def stored_value(self, body):
        return json.loads(body)["value"]

    def check(self, preloaded):
        """Ends the command unless the answers are right. To be called right after preload()."""
        if self.stores:
            self.sample(preloaded)
        if self.api is None:
            return
        port = self.server.port
        self.expect(ask(port, self.api["post"])[0] == 200, "a PUT was not answered by 200")
        status, body = ask(port, self.api["get"])
        self.expect(status == 200, "a GET was not answered by 200")
        if self.stores:
            self.expect(self.stored_value(body) == "v" * VALUE_BYTES, f"a GET after the PUT gave {body!r}")
        self.reply_bytes = {name: len(raw_reply(port, request)) for name, request in self.api.items()}

    def sample(self, preloaded):
        for port, protocol in dict.fromkeys([(self.fill_port(), self.fill_protocol()), (self.server.port, self.speaks)]):
            got = load.run(port, protocol=protocol, keys=preloaded, value_bytes=VALUE_BYTES, order="random", requests=1000,
                           get_share=1, verify=True, window=None if self.in_order else 1)
            self.expect(got["ok"] == 1000 and got["wrong_values"] == 0, f"preloaded keys are not there: {got}")

    def expect(self, truth, message):
        if not truth:
            sys.exit(f"{self.name} does not answer right, so it is not measured: {message}")


class Ours(Contestant):
    name, label, programs = "ours", "keyvalue-cache", ("keyvalue-cache",)

    def __init__(self, path=None, options=()):
        super().__init__()
        self.path, self.options = path, list(options)
        if path:
            self.programs = ()

    def command(self, stage, port):
        return [self.path or build.program("keyvalue-cache"), "--port", port, *self.options]


class Ceiling(Contestant):
    """Sends the bytes that `model` (a running contestant) answers; its own where there is no model."""

    name, label, programs, stores = "ceiling", "ceiling (fixed reply)", ("bench_ceiling",), False

    def __init__(self, threads=THREADS):
        super().__init__()
        self.model, self.threads = None, threads

    def command(self, stage, port):
        command = [build.program("bench_ceiling"), port, self.threads]
        if self.model is not None:  # the POST first, so that the GET finds something
            post, get = (raw_reply(self.model.server.port, self.model.api[name]) for name in ("post", "get"))
            command += [stage.write("get.reply", get), stage.write("post.reply", post)]
        return command


class OrdinaryBeast(Contestant):
    name, label, programs = "ordinary", "Beast as in its examples", ("bench_ordinary_beast",)

    def command(self, stage, port):
        return [build.program("bench_ordinary_beast"), port, THREADS]


class Nginx(Contestant):
    name, label, stores = "nginx", "nginx `return 200`", False
    modules = ()

    def missing(self):
        if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") is None:
            return "nginx is not installed (Debian: nginx-light)"
        absent = [m for m in self.modules if not os.path.exists(f"/usr/lib/nginx/modules/{m}")]
        return f"{absent[0]} is not installed (Debian: libnginx-mod-http-lua, lua-cjson)" if absent else None

    def locations(self):
        return """
          location /get { return 200 '{"status":"OK","key":"key:0000000000000000","value":"vvvvvvvvvvvv"}'; }
          location /put { return 200 '{"status":"OK","message":"Key inserted/updated successfully."}'; }"""

    def head(self):
        return ""

    def command(self, stage, port):
        user = "user root;" if os.geteuid() == 0 else ""
        loads = "".join(f"load_module /usr/lib/nginx/modules/{m};\n" for m in self.modules)
        own = os.path.dirname(stage.write(f"{self.name}.keep", ""))
        path = stage.write(f"{self.name}.conf", f"""
            {loads}{user} worker_processes {THREADS}; daemon off; pid {own}/{self.name}.pid;
            error_log stderr warn; worker_rlimit_nofile 20000;
            events {{ worker_connections 11000; }}
            http {{
              access_log off; default_type application/json; keepalive_requests 1000000000;
              client_body_temp_path {own}/{self.name}.body; proxy_temp_path {own}/{self.name}.proxy;
              fastcgi_temp_path {own}/{self.name}.fastcgi; uwsgi_temp_path {own}/{self.name}.uwsgi;
              scgi_temp_path {own}/{self.name}.scgi;
              {self.head()}
              server {{ listen 127.0.0.1:{port} reuseport backlog=4096; {self.locations()} }}
            }}""")
        binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        return [binary, "-c", path, "-p", own, "-e", "stderr"]


class NginxLua(Nginx):
    name, label, stores = "nginx-lua", "nginx + Lua shared dictionary", True
    modules = ("ndk_http_module.so", "ngx_http_lua_module.so")

    def head(self):
        return """
          lua_package_path "/usr/share/lua/5.1/?.lua;;"; lua_package_cpath "/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;/usr/lib/aarch64-linux-gnu/lua/5.1/?.so;;";
          lua_shared_dict store 1024m;
          init_by_lua_block {
            local cjson = require "cjson.safe"
            local function answer(status, body)
              ngx.status = status
              ngx.header.content_length = #body
              ngx.print(body)
            end
            local encode = cjson.encode
            function kv_get()
              local key = ngx.req.get_uri_args().key
              local value = key and ngx.shared.store:get(key)
              if not value then return answer(404, '{"status":"ERROR","message":"Key not found."}') end
              answer(200, '{"status":"OK","key":' .. encode(key) .. ',"value":' .. encode(value) .. '}')
            end
            function kv_put()
              ngx.req.read_body()
              local body = cjson.decode(ngx.req.get_body_data() or "")
              if not body or not ngx.shared.store:set(body.key, body.value) then
                return answer(400, '{"status":"ERROR","message":"Malformed body."}')
              end
              answer(200, '{"status":"OK","message":"Key inserted/updated successfully."}')
            end
          }"""

    def locations(self):
        return """
          location = /get { content_by_lua_block { kv_get() } }
          location = /put { client_body_buffer_size 16k; content_by_lua_block { kv_put() } }"""


class Webdis(Contestant):
    name, label, speaks, in_order = "webdis", "Redis behind webdis", "webdis", False
    api = {"get": {"method": "GET", "path": "/GET/{key}"},
           "post": {"method": "POST", "path": "/", "body": "SET/{key}/" + "v" * VALUE_BYTES}}

    def __init__(self):
        super().__init__()
        self.redis = None

    def missing(self):
        absent = [name for name in ("webdis", "redis-server") if shutil.which(name) is None]
        return f"{absent[0]} is not installed" if absent else None

    def start(self, stage, port):
        redis_port = free_port()
        self.redis = stage.start("redis-of-webdis", ["redis-server", "--port", redis_port, *REDIS_OPTIONS], redis_port)
        super().start(stage, port)

    def command(self, stage, port):
        return ["webdis", stage.write("webdis.json", json.dumps({
            "redis_host": "127.0.0.1", "redis_port": self.redis.port, "http_host": "127.0.0.1", "http_port": port,
            "threads": THREADS, "pool_size": 20, "daemonize": False, "websockets": False, "database": 0,
            "verbosity": 1, "logfile": "/dev/null"}))]

    def cpu(self):
        return self.server.cpu() + self.redis.cpu()

    def stored_value(self, body):
        return json.loads(body)["GET"]

    def fill_port(self):
        return self.redis.port

    def fill_protocol(self):
        return "redis"


class Redis(Contestant):
    name, label, speaks, api = "redis", "Redis (another protocol, one thread)", "redis", None

    def missing(self):
        return None if shutil.which("redis-server") else "redis-server is not installed"

    def command(self, stage, port):
        return ["redis-server", "--port", port, *REDIS_OPTIONS]


class Memcached(Contestant):
    name, label, speaks, api = "memcached", "memcached (another protocol)", "memcached", None

    def __init__(self, megabytes=1024):
        super().__init__()
        self.megabytes = megabytes

    def missing(self):
        return None if shutil.which("memcached") else "memcached is not installed"

    def command(self, stage, port):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return ["memcached", "-p", port, "-U", "0", "-l", "127.0.0.1", "-m", self.megabytes, "-t", THREADS,
                "-c", "11000", *user]
