-- A node that was taken out returns empty: meanwhile other nodes received writes of its keys, so what it still holds may
-- be outdated (it hung, or the network was cut). This task watches each server of the backend `nodes`.
--
-- A server that is DOWN, or whose name is not resolved any more, enters maintenance, which the checks cannot end. It leaves it after /readyz and POST /flush
-- returned 200 twice, a second apart: requests that the node had received before it hung are completed by then. The
-- task looks ten times a second, while the checks need a second from DOWN to UP (rise 2, inter 1s).

local token = os.getenv("KVCACHE_TOKEN")
local headers = {Authorization = token and {"Bearer " .. token}}

local function succeeds(server, method, path)
    local url = "http://" .. server:get_addr() .. path
    local called, response = pcall(function()
        local client = core.httpclient()
        return client[method](client, {url = url, headers = headers, timeout = 2000})
    end)
    return called and response.status == 200
end

local function watch(server)
    local served = false
    while true do
        core.msleep(100)
        local stats = server:get_stats()
        served = served or stats.status:find("^UP")
        if stats.status:find("^DOWN") or served and stats.status == "MAINT (resolution)" then
            server:set_maint()
            -- A node that drains (/readyz returned another status: L7STS) finishes its requests; on one that does not
            -- respond they fail now.
            if stats.check_status ~= "L7STS" then server:shut_sess() end
            local flushes = 0
            served = false
            while flushes < 2 do
                core.msleep(1000)
                local flushed = succeeds(server, "get", "/readyz") and succeeds(server, "post", "/flush")
                flushes = flushed and flushes + 1 or 0
            end
            server:set_ready()
        end
    end
end

core.register_init(function()
    for _, server in pairs(core.backends.nodes.servers) do
        core.register_task(function() watch(server) end)
    end
end)
