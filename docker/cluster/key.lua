-- Converters that find the key of a request: json_key in the body of /put and /delete, query_key in the query of /get.
--
-- For a request that the node accepts, each returns the bytes that the node reads as the key. For one that the node
-- rejects, it returns any text, or nothing: JSON is scanned, not validated. Both take linear time.

local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

-- The text of a JSON string, given without its quotes.
local function unescape(raw)
    local parts, from = {}, 1
    while true do
        local at = raw:find("\\", from, true)
        parts[#parts + 1] = raw:sub(from, (at or 0) - 1)
        if not at then return table.concat(parts) end
        local high, low = raw:match("^u([Dd][89ABab]%x%x)\\u([Dd][C-Fc-f]%x%x)", at + 1)
        local unit = raw:match("^u(%x%x%x%x)", at + 1)
        local escape = raw:sub(at + 1, at + 1)
        if high then
            parts[#parts + 1] = utf8.char((tonumber(high, 16) - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00 + 0x10000)
            from = at + #"\\ud83d\\ude00"
        elseif unit then
            parts[#parts + 1] = utf8.char(tonumber(unit, 16))
            from = at + #"\\u0041"
        else
            parts[#parts + 1] = escapes[escape] or escape
            from = at + #"\\n"
        end
    end
end

-- Where the JSON string ends whose first byte behind the quote is at `at`: its closing quote, or nil.
local function string_end(text, at)
    while true do
        at = text:find('["\\]', at)
        if not at or text:sub(at, at) == '"' then return at end
        at = at + 2
    end
end

-- Where the value ends that begins at `at`: the comma or bracket behind it, or nil.
local function value_end(text, at)
    local depth = 0
    while true do
        at = text:find('["%[%]{},]', at)
        if not at then return nil end
        local byte = text:sub(at, at)
        if byte == '"' then
            at = string_end(text, at + 1)
            if not at then return nil end
        elseif byte == "[" or byte == "{" then
            depth = depth + 1
        elseif depth == 0 then
            return at
        elseif byte ~= "," then
            depth = depth - 1
        end
        at = at + 1
    end
end

-- The first member `key` of the outermost object. The node rejects a second one.
core.register_converters("json_key", function(text)
    local at = text:match("^%s*{()")
    while at do
        local first = text:match('^%s*"()', at)
        local last = first and string_end(text, first)
        local value = last and text:match("^%s*:%s*()", last + 1)
        if not value then return end
        if unescape(text:sub(first, last - 1)) == "key" then
            local ends = text:sub(value, value) == '"' and string_end(text, value + 1)
            if not ends then return end
            return unescape(text:sub(value + 1, ends - 1))
        end
        at = value_end(text, value)
        at = at and text:match("^,()", at)
    end
end)

local function decode_form(text)
    return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- The first parameter `key`, whose name may be encoded too. The node rejects a second one.
core.register_converters("query_key", function(query)
    for parameter in query:gmatch("[^&]+") do
        local name, value = parameter:match("^([^=]*)=(.*)$")
        if name and decode_form(name) == "key" then return decode_form(value) end
    end
end)
